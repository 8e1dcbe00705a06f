// Two requests to one line are never both at the DRAM: they go there in the order in which they
// passed the issue stage, each with the line and the kind it passed with, and none is forgotten.
//
// block: top$order
// k: 1
// reach: 14
//
// mutant: one_at_a_time, who comes as the holder finishes passes those behind it
//   in: top$order
//   replace: & (tail$q) & (~finished)
//   with: & (tail$q) & (~(finished | (finish << look_slot)))
// mutant: in_order_of_passing, every request waits behind the first one of its line
//   in: top$order
//   replace: tail$d = ((tail$q) & (~hits)) | (passed)
//   with: tail$d = (tail$q) | (passed & ~{64{|hits}})
// mutant: each_goes_as_it_passed, a waiting request's line is not kept
//   in: top$order
//   replace: lines$write_enable = pass
//   with: lines$write_enable = pass && ~|hits
// mutant: none_is_forgotten, nobody is woken while another one passes
//   in: top$order
//   replace: woken$push = wakes$q
//   with: woken$push = ~pass && wakes$q
// mutant: who_waits_is_told, a held line counts only while nothing is accepted
//   in: top$order
//   replace: conflict = |held_by$q
//   with: conflict = |held_by$q && ~accept
`include "common.svh"

module proof (
    input clock, reset, accept, write, pass, finish, wake_take, mark,
    input [6:0] accept_slot, slot, finish_slot, look_slot,
    input [33:0] line
);
    `CLOCKED
    localparam SLOTS = 4;

    wire conflict, wake_valid, look_write;
    wire is_held = u.hits != 0; // told in the next cycle
    wire [6:0] wake_slot;
    wire [33:0] look_line;
    top$order u (
        .clock, .reset, .accept, .accept_slot, .slot, .line, .write, .conflict, .pass, .finish,
        .finish_slot, .wake_valid, .wake_slot, .wake_take, .look_slot, .look_line, .look_write,
        .mark);

    // A slot's life: accepted, passed (to the DRAM at once, or to wait until it is woken), finished.
    // One that ends without the DRAM is finished without having passed.
    reg [SLOTS-1:0] in_flight = 0, waiting = 0, turns = 0, woken = 0, at_dram = 0;
    reg [34:0] passed_as [0:SLOTS-1];
    reg [SLOTS-1:0] ahead [0:SLOTS-1]; // ahead[a][b]: a passed before b, to the same line
    wire [SLOTS-1:0] passed = waiting | turns | woken | at_dram;
    wire [SLOTS-1:0] accepting = accept << accept_slot, passing = pass << slot;
    wire [SLOTS-1:0] finishing = finish << finish_slot, going = wake_take << wake_slot;
    `ASSUME(slots_there_are, slot < SLOTS && accept_slot < SLOTS && finish_slot < SLOTS)
    `ASSUME(accepts_what_is_free, (accepting & in_flight) == 0)
    `ASSUME(passes_once, (passing & (~in_flight | passed)) == 0)
    `ASSUME(finishes_what_went, (finishing & ~(at_dram | (in_flight & ~passed & ~passing))) == 0)
    `ASSUME(takes_what_is_woken, !wake_take || wake_valid)

    // Who is last behind nobody else that holds this line.
    reg [SLOTS-1:0] same_line;
    always @* for (int a = 0; a < SLOTS; a = a + 1)
        same_line[a] = passed[a] && !finishing[a] && passed_as[a][33:0] == line;
    wire [SLOTS-1:0] first; // of those left when this one finishes
    always @(posedge clock) begin
        in_flight <= reset ? 0 : (in_flight & ~finishing) | accepting;
        at_dram <= reset ? 0 : (at_dram & ~finishing) | (is_held ? 0 : passing) | going;
        waiting <= reset ? 0 : (waiting & ~first) | (is_held ? passing : 0);
        turns <= reset ? 0 : first;
        woken <= reset ? 0 : (woken & ~going) | turns;
        for (int a = 0; a < SLOTS; a = a + 1) begin
            if (passing[a]) passed_as[a] <= {write, line};
            ahead[a] <= (reset || finishing[a] || passing[a]) ? 0
                : (ahead[a] & ~finishing & ~passing) | (same_line[a] ? passing : 0);
        end
    end
    // A waiting one's turn has come when none is before it.
    reg [SLOTS-1:0] last_ahead;
    always @* for (int b = 0; b < SLOTS; b = b + 1) begin
        last_ahead[b] = 0;
        for (int a = 0; a < SLOTS; a = a + 1)
            if (finishing[a] && ahead[a][b]) last_ahead[b] = 1;
        for (int a = 0; a < SLOTS; a = a + 1)
            if (!finishing[a] && ahead[a][b]) last_ahead[b] = 0;
    end
    assign first = last_ahead & waiting;

    // Any two slots.
    `SYMBOLIC(2, one)
    `SYMBOLIC(2, other)
    `PROVE(one_at_a_time, !(one != other && at_dram[one] && at_dram[other]
                            && passed_as[one][33:0] == passed_as[other][33:0]))
    `PROVE(in_order_of_passing, !(ahead[one][other] && (at_dram[other] || turns[other] || woken[other])))
    `PROVE(each_goes_as_it_passed, !(look_slot == one && passed[one] && !passing[one])
        || {look_write, look_line} == passed_as[one])
    `PROVE(none_is_forgotten, wake_valid == (woken != 0) && (!wake_valid || woken[wake_slot[1:0]]))

    // Who passed in the last cycle is told whether it waits.
    reg was_held = 0;
    always @(posedge clock) was_held <= started && pass && is_held;
    `PROVE(who_waits_is_told, conflict == was_held)

    `REACH(three_in_a_row, ahead[0][1] && ahead[1][2] && ahead[0][2])
    `REACH(woken_in_turn, at_dram[1] && ahead[1][2] && u.woken.read_at$q == 1)
    `REACH(ends_early, finish && !passed[finish_slot[1:0]])

    `define ALL(NAME, COND) \
        reg NAME``_holds; \
        always @* begin \
            NAME``_holds = 1; \
            for (int a = 0; a < SLOTS; a = a + 1) for (int b = 0; b < SLOTS; b = b + 1) \
                for (int c = 0; c < SLOTS; c = c + 1) if (!(COND)) NAME``_holds = 0; \
        end \
        `INVARIANT(NAME, NAME``_holds)
    `define SAME(A, B) (passed[A] && passed[B] && A != B && passed_as[A][33:0] == passed_as[B][33:0])
    `define BEHIND(A) (u.held_by$q[A] ? u.passed_slot$q : u.behind.mem[A])
    wire [SLOTS-1:0] tail = u.tail$q;
    `INVARIANT(state, u.busy$q == passed && u.in_flight$q == in_flight && (passed & ~in_flight) == 0
        && (waiting & (turns | woken | at_dram)) == 0 && (turns & (woken | at_dram)) == 0
        && (woken & at_dram) == 0 && (turns & (turns - 1'b1)) == 0)
    `INVARIANT(told, (u.held_by$q != 0) == was_held && (u.held_by$q >> SLOTS) == 0
        && (u.held_by$q & (u.held_by$q - 1'b1)) == 0)
    `INVARIANT(turn, u.wakes$q == (turns != 0) && (turns == 0 || (u.finished_slot$q < SLOTS
        && `BEHIND(u.finished_slot$q[1:0]) < SLOTS && turns[`BEHIND(u.finished_slot$q[1:0])]
        && !u.held_by$q[u.finished_slot$q[1:0]])))
    `ALL(held, !passed[a] || u.lines_held.keys[a] == passed_as[a][33:0])
    `ALL(kept, !passed[a] || u.lines.mem[a] == passed_as[a])
    `ALL(ordered, `SAME(a, b) ? ahead[a][b] != ahead[b][a] : !ahead[a][b])
    `ALL(transitive, !(ahead[a][b] && ahead[b][c]) || ahead[a][c])
    `ALL(firsts_are_not_waiting, !ahead[a][b] || waiting[b])
    `ALL(tails_are_last, !passed[a] || tail[a] == (ahead[a] == 0))
    `ALL(behind, !(passed[a] && !tail[a]) || (`BEHIND(a) < SLOTS && ahead[a][`BEHIND(a)]
        && (!ahead[c][`BEHIND(a)] || c == a || ahead[c][a])))
    reg waits_behind, someone;
    always @* begin
        waits_behind = 1;
        for (int b = 0; b < SLOTS; b = b + 1) begin
            someone = 0;
            for (int a = 0; a < SLOTS; a = a + 1) if (ahead[a][b]) someone = 1;
            if (waiting[b] && !someone) waits_behind = 0;
        end
    end
    `INVARIANT(waiting_is_behind, waits_behind)
    // The queue of the woken ones.
    wire [7:0] count = u.woken.count$q;
    `define QUEUED(N) u.woken.ram.mem[2'(u.woken.read_at$q + N)]
    `INVARIANT(queue, count <= SLOTS && u.woken.filled$q == (count != 0)
        && 8'(u.woken.write_at$q - u.woken.read_at$q) == count
        && count == woken[0] + woken[1] + woken[2] + woken[3])
    `ALL(queued, !(a < count) || (`QUEUED(a) < SLOTS && woken[`QUEUED(a)]
        && (b >= count || a == b || `QUEUED(a) != `QUEUED(b))))
endmodule
