// No reply of the DRAM is lost, none is taken for another: each reaches the unit of its class once,
// with its index, within three cycles. Every request ends once for each answer that it has due, on
// its port, with its tag, and with the status and data of that answer.
//
// block: top$completion
// k: 1
// reach: 12
//
// mutant: replies_reach_their_unit, a reply of the walker's is given to the table engine too
//   in: top$completion
//   replace: table_valid = c_valid$q && (kind == c_table)
//   with: table_valid = c_valid$q && (kind == c_table || kind == c_walk)
// mutant: no_reply_is_lost, a reply is taken while the last one still stands
//   in: top$completion
//   replace: if ((~c_valid$q) || go) begin
//   with: if ((~c_valid$q) || go || turn$q) begin
// mutant: replies_do_not_wait_long, answers from inside always go first
//   in: top$completion
//   replace: pick_inside = from_inside && (~from_dram || turn$q)
//   with: pick_inside = from_inside
// mutant: ends_once_an_answer, an answer of the replay's ends twice
//   in: top$completion
//   replace: replay_held$d = 1'b0;
//   with: replay_held$d = from_dram;
// mutant: no_answer_is_lost, the second answer from stage 3 replaces the first
//   in: top$completion
//   replace: hit_ready = ~hit_held$q
//   with: hit_ready = 1'b1
// mutant: ends_as_accepted, answers of stage 3 go to the slot of the last reply
//   in: top$completion
//   replace: at = hit_held_slot$q
//   with: at = c_tag$q[1:0]
// mutant: ends_with_its_status, a poisoned line is an answer like any other
//   in: top$completion
//   replace: else if (c_poison$q) begin
//   with: else if (1'b0) begin
// mutant: ends_with_its_data, the answer to a write shows the line
//   in: top$completion
//   replace: else if (request_op == 32'h0) begin
//   with: else if (request_op != 32'h2) begin
`include "common.svh"

module proof (
    input clock, reset, accept, dram_valid, dram_poison, hit_answer, replay_answer, amo_answer,
    input [6:0] accept_slot, hit_slot, replay_slot, amo_slot,
    input [2:0] accept_op, hit_status, replay_status,
    input [15:0] accept_tag, accept_pid,
    input [47:0] accept_va,
    input [9:0] dram_tag,
    input [511:0] dram_data,
    input [63:0] old
);
    `CLOCKED
    localparam SLOTS = 4, OK = 0, UNCORRECTABLE = 5;
    localparam DATA = 0, WALK = 1, PTE = 2, ZERO = 3, TABLE = 4, ATOMIC = 5;

    wire dram_ready, hit_ready, replay_ready, amo_take, walk_valid, pte_written, zero_acked;
    wire table_valid, poison, amo_valid, finish, port;
    wire [6:0] index, slot, old_slot;
    wire [511:0] line, data;
    wire [2:0] op, status;
    wire [15:0] tag, pid;
    wire [47:0] va;
    top$completion u (
        .clock, .reset, .accept, .accept_slot, .accept_op, .accept_tag, .accept_pid, .accept_va,
        .dram_valid, .dram_ready, .dram_tag, .dram_data, .dram_poison, .hit_answer, .hit_slot,
        .hit_status, .hit_ready, .replay_answer, .replay_slot, .replay_status, .replay_ready,
        .amo_answer, .amo_slot, .amo_take, .old_slot, .old, .walk_valid, .pte_written, .zero_acked,
        .table_valid, .index, .line, .poison, .amo_valid, .finish, .slot, .port, .tag, .op, .pid,
        .va, .status, .data);

    // Any bit of the data.
    `SYMBOLIC(9, bit_)

    // Replies taken and not yet delivered, oldest first.
    wire taken = dram_valid && dram_ready;
    wire [11:0] reply = {dram_data[bit_], dram_poison, dram_tag};
    reg [11:0] replies [0:1];
    reg [1:0] count = 0;
    wire [11:0] oldest = replies[0];
    wire [2:0] class_ = oldest[9:7];
    wire to_slot = count != 0 && (class_ == DATA || class_ == ATOMIC);
    wire ends_here = finish && to_slot && oldest[6:0] == slot; // a request has one answer due at a time
    wire [5:0] delivers = {ends_here, amo_valid, table_valid, zero_acked, pte_written, walk_valid};
    wire delivered = delivers != 0;
    reg [1:0] waited = 0;
    always @(posedge clock) begin
        if (delivered) replies[0] <= replies[1];
        if (taken) replies[count - delivered] <= reply;
        count <= reset ? 0 : count + taken - delivered;
        waited <= (started && count != 0 && !delivered) ? waited + 1 : 0;
    end

    // Requests in flight, and which answer each has due.
    reg [SLOTS-1:0] asked = 0, due_hit = 0, due_replay = 0;
    wire [SLOTS-1:0] due_dram = ((count > 0 && (class_ == DATA || class_ == ATOMIC)) << oldest[6:0])
        | ((count > 1 && (replies[1][9:7] == DATA || replies[1][9:7] == ATOMIC)) << replies[1][6:0]);
    wire [SLOTS-1:0] due_amo = amo_answer << amo_slot;
    wire [SLOTS-1:0] due = due_hit | due_replay | due_dram | due_amo;
    wire [SLOTS-1:0] accepting = accept << accept_slot, finishing = finish << slot;
    wire of_slot = dram_tag[9:7] == DATA || dram_tag[9:7] == ATOMIC;
    wire [SLOTS-1:0] hit_comes = hit_answer << hit_slot, replay_comes = replay_answer << replay_slot;
    wire [SLOTS-1:0] dram_comes = (taken && of_slot) << dram_tag[6:0];
    reg [2:0] due_status [0:SLOTS-1];
    reg [82:0] asked_as [0:SLOTS-1];
    wire [82:0] ends_as = {op, va, pid, tag};
    always @(posedge clock) begin
        asked <= reset ? 0 : (asked & ~finishing) | accepting;
        due_hit <= reset ? 0 : (due_hit & ~finishing) | hit_comes;
        due_replay <= reset ? 0 : (due_replay & ~finishing) | replay_comes;
        if (hit_answer) due_status[hit_slot[1:0]] <= hit_status;
        if (replay_answer) due_status[replay_slot[1:0]] <= replay_status;
        if (accept) asked_as[accept_slot[1:0]] <= {accept_op, accept_va, accept_pid, accept_tag};
    end
    // The contract of those that answer: when there is room, for a request in flight, one at a time.
    `ASSUME(slots_there_are, accept_slot < SLOTS && hit_slot < SLOTS && replay_slot < SLOTS
                             && amo_slot < SLOTS && (!of_slot || dram_tag[6:0] < SLOTS))
    `ASSUME(accepts_what_is_free, (accepting & asked) == 0)
    `ASSUME(classes_there_are, dram_tag[9:7] <= ATOMIC)
    `ASSUME(one_answer_at_a_time, ((hit_comes | replay_comes | dram_comes) & (due | ~asked)) == 0
        && (hit_comes & replay_comes) == 0 && (dram_comes & (hit_comes | replay_comes)) == 0
        && (due_amo & (due_hit | due_replay | due_dram | ~asked)) == 0)
    `ASSUME(answers_have_room, !(hit_answer && !hit_ready) && !(replay_answer && !replay_ready))

    wire starts_atomic = class_ == DATA && asked_as[oldest[1:0]][81] && !oldest[10];
    `PROVE(replies_reach_their_unit, (delivers & (delivers - 1'b1)) == 0 && (!delivered || (count != 0
        && (ends_here || (index == oldest[6:0] && {line[bit_], poison} == oldest[11:10]))
        && (!walk_valid || class_ == WALK) && (!pte_written || class_ == PTE)
        && (!zero_acked || class_ == ZERO) && (!table_valid || class_ == TABLE)
        && (!amo_valid || starts_atomic) && (!ends_here || !starts_atomic))))
    `PROVE(no_reply_is_lost, count <= 2 && (count != 2 || !dram_ready || delivered))
    `PROVE(replies_do_not_wait_long, waited <= 2)

    `PROVE(ends_once_an_answer, !finish || (slot < SLOTS && asked[slot[1:0]] && due[slot[1:0]]
                                            && amo_take == due_amo[slot[1:0]]))
    `PROVE(no_answer_is_lost, (due_hit == 0 || !hit_ready) && (due_replay == 0 || !replay_ready)
                              && (amo_take == (finish && due_amo[slot[1:0]])))
    `PROVE(ends_as_accepted, !finish || (port == slot[1] && ends_as == asked_as[slot[1:0]]))
    wire poisoned = ends_here && oldest[10];
    `PROVE(ends_with_its_status, !finish || status == (poisoned ? UNCORRECTABLE
        : due_hit[slot[1:0]] || due_replay[slot[1:0]] ? due_status[slot[1:0]] : OK))
    `PROVE(ends_with_its_data, !finish || (old_slot == slot && data[bit_] == (
        poisoned || due_hit[slot[1:0]] || due_replay[slot[1:0]] ? 1'b0
        : amo_take || (ends_here && class_ == ATOMIC) ? bit_ < 64 && old[bit_[5:0]]
        : ends_here && op == 0 && oldest[11])))

    `REACH(all_at_once, due_hit != 0 && due_replay != 0 && due_amo != 0 && to_slot)
    `REACH(read, ends_here && data[bit_] && class_ == DATA)
    `REACH(atomic, amo_valid && asked == 4'hf)
    `REACH(waits_for_inside, waited == 1)

    `INVARIANT(stage, count == u.c_valid$q && (count == 0
        || {u.c_data$q[bit_], u.c_poison$q, u.c_tag$q} == oldest) && (count == 0 || class_ <= ATOMIC))
    `INVARIANT(waits, waited <= count && (waited == 0 || (to_slot && !u.turn$q)))
    `INVARIANT(hit, due_hit == (u.hit_held$q << u.hit_held_slot$q)
        && (!u.hit_held$q || (u.hit_held_slot$q < SLOTS
            && u.hit_held_status$q == due_status[u.hit_held_slot$q[1:0]])))
    `INVARIANT(replay, due_replay == (u.replay_held$q << u.replay_held_slot$q)
        && (!u.replay_held$q || (u.replay_held_slot$q < SLOTS
            && u.replay_held_status$q == due_status[u.replay_held_slot$q[1:0]])))
    `INVARIANT(one_due, ((due_hit | due_replay | due_dram) & ~asked) == 0 && (due_hit & due_replay) == 0
        && (due_dram & (due_hit | due_replay)) == 0 && (!to_slot || oldest[6:0] < SLOTS))
    `define KEPT(N) `INVARIANT(kept_``N, !asked[N] || u.requests.mem[N][82:0] == asked_as[N])
    `KEPT(0)
    `KEPT(1)
    `KEPT(2)
    `KEPT(3)
endmodule
