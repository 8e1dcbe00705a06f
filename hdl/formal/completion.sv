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
//   replace: table_valid = c_tables$q
//   with: table_valid = c_tables$q || c_walks$q
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
//   replace: replay_held$d = ~pick_inside;
//   with: replay_held$d = ~pick_inside || from_dram;
// mutant: no_answer_is_lost, the second answer from stage 3 replaces the first
//   in: top$completion
//   replace: hit_ready = ~hit_held$q
//   with: hit_ready = 1'b1
// mutant: ends_as_accepted, the log is told the place of the request that ends next
//   in: top$completion
//   replace: places$read_address = e_slot$q
//   with: places$read_address = at
// mutant: ends_as_accepted, answers of stage 3 go to the slot of the last reply
//   in: top$completion
//   replace: inside_at = hit_held_slot$q
//   with: inside_at = c_tag$q[1:0]
// mutant: ends_with_its_status, a poisoned line is an answer like any other
//   in: top$completion
//   replace: else if (e_poison$q) begin
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

    // Replies taken and not yet delivered: the newer one stands first, then one of a request's goes on
    // to where it ends, or to the atomic unit.
    wire taken = dram_valid && dram_ready;
    wire [11:0] reply = {dram_data[bit_], dram_poison, dram_tag};
    reg [11:0] newer, older;
    reg has_newer = 0, has_older = 0;
    wire [2:0] class_ = newer[9:7], older_class = older[9:7];
    wire to_slot = has_newer && (class_ == DATA || class_ == ATOMIC);
    wire ends_here = finish && has_older;
    wire [3:0] delivers = {table_valid, zero_acked, pte_written, walk_valid};
    wire delivered = delivers != 0;
    wire moves = to_slot && u.go;
    reg [1:0] waited = 0;
    // What ends next, if it is no reply.
    wire [2:0] picks = {u.pick_inside && amo_answer, u.pick_inside && !amo_answer && u.replay_held$q,
                        u.pick_inside && !amo_answer && !u.replay_held$q};
    reg [2:0] picked = 0;
    always @(posedge clock) begin
        if (taken) newer <= reply;
        if (moves) older <= newer;
        has_newer <= !reset && (taken || (has_newer && !delivered && !moves));
        has_older <= !reset && moves;
        waited <= (started && has_newer && !delivered && !moves) ? waited + 1 : 0;
        picked <= reset ? 0 : picks;
    end

    // Requests in flight, and which answer each has due.
    reg [SLOTS-1:0] asked = 0, due_hit = 0, due_replay = 0;
    wire [SLOTS-1:0] due_dram = (to_slot << newer[6:0]) | (has_older << older[6:0]);
    reg [SLOTS-1:0] due_amo = 0; // taken by the completion, not ended yet
    wire [SLOTS-1:0] amo_asks = amo_answer << amo_slot;
    wire [SLOTS-1:0] due = due_hit | due_replay | due_dram | due_amo;
    wire [SLOTS-1:0] accepting = accept << accept_slot, finishing = finish << slot;
    wire of_slot = dram_tag[9:7] == DATA || dram_tag[9:7] == ATOMIC;
    wire [SLOTS-1:0] hit_comes = hit_answer << hit_slot, replay_comes = replay_answer << replay_slot;
    wire [SLOTS-1:0] dram_comes = (taken && of_slot) << dram_tag[6:0];
    reg [2:0] due_status [0:SLOTS-1];
    reg [82:0] asked_as [0:SLOTS-1];
    wire [82:0] ends_as = {op, va, pid, tag};
    // Of what it was asked as: word, op, tag.
    function automatic [21:0] hot(input [1:0] of);
        hot = {asked_as[of][37:35], asked_as[of][82:80], asked_as[of][15:0]};
    endfunction
    always @(posedge clock) begin
        asked <= reset ? 0 : (asked & ~finishing) | accepting;
        due_hit <= reset ? 0 : (due_hit & ~finishing) | hit_comes;
        due_replay <= reset ? 0 : (due_replay & ~finishing) | replay_comes;
        due_amo <= (reset || !amo_take) ? 0 : amo_asks;
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
        && (amo_asks & (due | hit_comes | replay_comes | dram_comes | ~asked)) == 0)
    `ASSUME(answers_have_room, !(hit_answer && !hit_ready) && !(replay_answer && !replay_ready))

    wire starts_atomic = older_class == DATA && asked_as[older[1:0]][81] && !older[10];
    `PROVE(replies_reach_their_unit, (delivers & (delivers - 1'b1)) == 0
        && (!delivered || (has_newer && index == newer[6:0] && {line[bit_], poison} == newer[11:10]))
        && walk_valid == (has_newer && class_ == WALK) && pte_written == (has_newer && class_ == PTE)
        && zero_acked == (has_newer && class_ == ZERO) && table_valid == (has_newer && class_ == TABLE)
        && (!has_older || slot == older[6:0])
        && amo_valid == (has_older && starts_atomic) && ends_here == (has_older && !starts_atomic))
    `PROVE(no_reply_is_lost, !(taken && has_newer && !delivered && !moves))
    `PROVE(replies_do_not_wait_long, waited <= 1)

    `PROVE(ends_once_an_answer, !finish || (slot < SLOTS && asked[slot[1:0]] && due[slot[1:0]]))
    // Those that do not end in this cycle still stand.
    `PROVE(no_answer_is_lost, ((due_hit & ~finishing) == 0 || !hit_ready)
        && ((due_replay & ~finishing) == 0 || !replay_ready) && (due_amo & ~finishing) == 0
        && (!amo_take || amo_answer))
    `PROVE(ends_as_accepted, !finish || (port == slot[1] && ends_as == asked_as[slot[1:0]]))
    wire poisoned = ends_here && older[10];
    `PROVE(ends_with_its_status, !finish || status == (poisoned ? UNCORRECTABLE
        : due_hit[slot[1:0]] || due_replay[slot[1:0]] ? due_status[slot[1:0]] : OK))
    `PROVE(ends_with_its_data, !finish || (old_slot == slot && data[bit_] == (
        poisoned || due_hit[slot[1:0]] || due_replay[slot[1:0]] ? 1'b0
        : due_amo[slot[1:0]] || (ends_here && older_class == ATOMIC) ? bit_ < 64 && old[bit_[5:0]]
        : ends_here && op == 0 && older[11])))

    `REACH(all_at_once, due_hit != 0 && due_replay != 0 && amo_answer && to_slot)
    `REACH(read, ends_here && data[bit_] && older_class == DATA)
    `REACH(atomic, amo_valid && asked == 4'hf)
    `REACH(waits_for_inside, waited == 1)

    `INVARIANT(stage, has_newer == u.c_valid$q && u.c_ends$q == to_slot
        && {u.c_tables$q, u.c_zeroes$q, u.c_writes$q, u.c_walks$q} == {has_newer && class_ == TABLE,
            has_newer && class_ == ZERO, has_newer && class_ == PTE, has_newer && class_ == WALK}
        && (!has_newer
        || ({u.c_data$q[bit_], u.c_poison$q, u.c_tag$q} == newer && class_ <= ATOMIC)))
    `INVARIANT(end_, has_older == u.e_dram$q && u.e_inside$q == (picked != 0) && !(has_older && picked != 0)
        && (!has_older || ({u.e_data$q[bit_], u.e_poison$q, u.e_slot$q} == {older[11:10], older[6:0]}
            && u.e_is_data$q == (older_class == DATA) && (older_class == DATA || older_class == ATOMIC)
            && older[6:0] < SLOTS))
        && ((!has_older && picked == 0) || (u.e_slot$q < SLOTS && asked[u.e_slot$q[1:0]]
            && u.e_request$q[21:0] == hot(u.e_slot$q[1:0]))))
    `INVARIANT(picked_inside, (picked & (picked - 1'b1)) == 0
        && (picked == 0 || u.e_amo$q == picked[2])
        && (picked == 0 || u.e_status$q == (picked[2] ? OK : due_status[u.e_slot$q[1:0]])))
    `INVARIANT(waits, waited <= has_newer && (waited == 0 || (to_slot && !u.turn$q)))
    `INVARIANT(hit, due_hit == ((u.hit_held$q << u.hit_held_slot$q) | (picked[0] << u.e_slot$q))
        && !(u.hit_held$q && picked[0] && u.hit_held_slot$q == u.e_slot$q)
        && (!u.hit_held$q || (u.hit_held_slot$q < SLOTS
            && u.hit_held_status$q == due_status[u.hit_held_slot$q[1:0]])))
    `INVARIANT(replay, due_replay == ((u.replay_held$q << u.replay_held_slot$q) | (picked[1] << u.e_slot$q))
        && !(u.replay_held$q && picked[1] && u.replay_held_slot$q == u.e_slot$q)
        && (!u.replay_held$q || (u.replay_held_slot$q < SLOTS
            && u.replay_held_status$q == due_status[u.replay_held_slot$q[1:0]])))
    `INVARIANT(amo, due_amo == (picked[2] << u.e_slot$q))
    `INVARIANT(one_reply_due, !(to_slot && has_older && newer[6:0] == older[6:0])
        && (due_amo & (due_hit | due_replay | due_dram | ~asked)) == 0)
    `INVARIANT(one_due, ((due_hit | due_replay | due_dram) & ~asked) == 0 && (due_hit & due_replay) == 0
        && (due_dram & (due_hit | due_replay)) == 0 && (!to_slot || newer[6:0] < SLOTS))
    `define KEPT(N) `INVARIANT(kept_``N, !asked[N] || (u.requests.mem[N][21:0] == hot(N) \
        && u.places.mem[N] == {asked_as[N][79:32], asked_as[N][31:16]}))
    `KEPT(0)
    `KEPT(1)
    `KEPT(2)
    `KEPT(3)
endmodule
