// Frames of one size, from the monitor's push to the grant. `LANE` is the block, `STEP` the size of
// its frames in 4 KiB frames, `LINES` in lines, `SLOTS` the frames it zeroes at a time, `DEPTH` the
// depth of its list.
`include "common.svh"

module proof (
    input clock, reset, push, grant_take, cmd_ready, ack_valid, ack_choice,
    input [27:0] push_base,
    input [15:0] push_count,
    input [1:0] ack_slot,
    input [44:0] register_access
);
    `CLOCKED
    // Physical memory of the component, in 4 KiB frames.
    localparam FRAMES = 1024;
    localparam QUEUE = 2;

    wire [45:0] bus = {register_access, reset};
    wire waits, grant_valid, more, cmd_valid;
    wire [27:0] grant_frame;
    wire [33:0] cmd_line;
    wire [1:0] cmd_slot;
    wire [7:0] queued;
    `LANE u (
        .clock, .bus, .waits, .push, .push_base, .push_count, .queued, .grant_valid, .grant_frame,
        .grant_take, .more, .cmd_valid, .cmd_line, .cmd_slot, .cmd_ready, .ack_valid, .ack_slot);

    // Any frame of this size, and any of its lines.
    `SYMBOLIC(28, frame)
    `SYMBOLIC(15, line)
    `ASSUME(a_frame, frame < FRAMES && frame % `STEP == 0)
    `ASSUME(a_line, line < `LINES)
    wire [33:0] address = {frame, 6'b0} + line;

    // The monitor's contract: it pushes what lies in memory, and a frame only while it is its own.
    // The queue's contract: no push when it is full.
    `define COVERS(BASE, COUNT) ((BASE) <= frame && frame < (BASE) + (COUNT) * `STEP)
    wire [27:0] base = push_base & ((FRAMES - 1) & ~(`STEP - 1));
    wire pushed = push && `COVERS(base, push_count);
    reg held = 0;
    `ASSUME(push_in_memory, !push || (push_count != 0 && base + push_count * `STEP <= FRAMES))
    `ASSUME(push_has_room, !push || queued < QUEUE)
    `ASSUME(push_what_one_has, !pushed || !held)
    `ASSUME(take_what_is_granted, !grant_take || grant_valid)

    // The frame leaves by a fault's grant, or by the monitor's pop.
    wire pop = u.popping$q && u.list$valid && !u.taken$q;
    wire granted = grant_valid && grant_frame == frame;
    wire popped = pop && u.list$frame == frame;
    wire leaves = popped || (grant_take && granted);
    always @(posedge clock) held <= !reset && (pushed || (held && !leaves));

    // The writes of lines: one answer each with its slot, in any order. Of a slot's answers any can
    // be the one of the line that we look at; `zeroed`: it came since the frame was pushed.
    wire ours = cmd_valid && cmd_line == address;
    reg waiting = 0, zeroed = 0;
    reg [1:0] waiting_slot;
    reg [15:0] others [0:3];
    wire answered = ack_valid && waiting && waiting_slot == ack_slot
        && (ack_choice || others[ack_slot] == 0);
    `ASSUME(one_answer_each, !ack_valid || others[ack_slot] != 0
                             || (waiting && waiting_slot == ack_slot))
    integer i;
    always @(posedge clock) begin
        waiting <= !reset && ((ours && cmd_ready) || (waiting && !answered));
        if (ours && cmd_ready) waiting_slot <= cmd_slot;
        zeroed <= !reset && !pushed && (zeroed || answered);
        for (i = 0; i < 4; i = i + 1)
            others[i] <= reset ? 0 : others[i]
                + (cmd_valid && cmd_ready && !ours && cmd_slot == i)
                - (ack_valid && !answered && ack_slot == i);
    end

    `PROVE(granted_once_per_push, !(granted || popped) || held)
    `PROVE(granted_only_when_zeroed, !(granted || popped) || zeroed)
    `PROVE(writes_only_what_it_has, !(cmd_valid && cmd_line[33:6] - line[14:6] == frame
                                      && cmd_line[5:0] == line[5:0]) || held)
    `PROVE(none_is_forgotten, !held || grant_valid || more || waits)

    reg offered = 0;
    reg [35:0] command;
    always @(posedge clock) begin
        offered <= started && cmd_valid && !cmd_ready;
        command <= {cmd_slot, cmd_line};
    end
    `PROVE(command_stays_until_ready, !offered || (cmd_valid && {cmd_slot, cmd_line} == command))

    // Places: the queue of runs, the run at work, the slots, the list.
    `define RUN(N) u.zeroer.runs.mem[1'(u.zeroer.run_head$q + N)]
    wire [7:0] runs = u.zeroer.run_count$q;
    `define LEGAL(BASE, COUNT) ((BASE) % `STEP == 0 && (COUNT) != 0 && (BASE) + (COUNT) * `STEP <= FRAMES)
    `INVARIANT(queue, runs <= QUEUE && 6'(u.zeroer.run_tail$q - u.zeroer.run_head$q) == runs)
    `INVARIANT(run_0, runs < 1 || `LEGAL(`RUN(0)[27:0], `RUN(0)[43:28]))
    `INVARIANT(run_1, runs < 2 || `LEGAL(`RUN(1)[27:0], `RUN(1)[43:28]))
    wire at_work = u.zeroer.run_valid$q;
    wire [27:0] next = u.zeroer.next_frame$q;
    wire [15:0] left = u.zeroer.left$q;
    `INVARIANT(run, !at_work || `LEGAL(next, left))
    wire in_queue_0 = runs >= 1 && `COVERS(`RUN(0)[27:0], `RUN(0)[43:28]);
    wire in_queue_1 = runs >= 2 && `COVERS(`RUN(1)[27:0], `RUN(1)[43:28]);
    wire in_run = at_work && `COVERS(next, left);

    wire writing = u.zeroer.writing$q;
    wire [1:0] write_slot = u.zeroer.write_slot$q, next_slot = u.zeroer.next_slot$q;
    wire [1:0] oldest = u.zeroer.oldest$q;
    wire [14:0] at_line = u.zeroer.line$q;
    wire [`SLOTS-1:0] used, issued, in_slot;
    wire [2:0] slots = used[0] + used[1]
`ifdef FOUR_SLOTS
        + used[2] + used[3]
`endif
        ;
    `define SLOT(N) \
        assign used[N] = u.zeroer.slots$``N.used$q; \
        assign issued[N] = u.zeroer.slots$``N.issued$q; \
        assign in_slot[N] = used[N] && u.zeroer.slots$``N.of$q == frame; \
        `INVARIANT(in_order_``N, used[N] == (((N - oldest) & (`SLOTS - 1)) < slots)) \
        `INVARIANT(is_written_``N, !(used[N] && !issued[N]) || (writing && write_slot == N)) \
        `INVARIANT(written_frame_``N, !(writing && write_slot == N) \
            || (used[N] && !issued[N] && u.zeroer.slots$``N.of$q == u.zeroer.write_frame$q)) \
        `INVARIANT(answers_``N, u.zeroer.slots$``N.unanswered$q \
            == others[N] + (waiting && waiting_slot == N) && others[N] <= `LINES) \
        `INVARIANT(commands_``N, u.zeroer.slots$``N.unanswered$q + (in_slot[N] && zeroed) \
            <= (used[N] ? (issued[N] ? `LINES : at_line) : 0)) \
        `INVARIANT(sent_``N, !in_slot[N] || ((issued[N] || line < at_line) \
            == ((waiting && waiting_slot == N) || zeroed))) \
        `INVARIANT(waits_``N, !(waiting && waiting_slot == N) || in_slot[N]) \
        `INVARIANT(once_``N, !(waiting && waiting_slot == N) || !zeroed)
    `SLOT(0)
    `SLOT(1)
`ifdef FOUR_SLOTS
    `SLOT(2)
    `SLOT(3)
`endif
    `INVARIANT(waiting_in_slot, !waiting || waiting_slot < `SLOTS)
    `INVARIANT(no_other_slots, `SLOTS == 4 || (others[2] == 0 && others[3] == 0))
    `INVARIANT(newest, next_slot == ((oldest + slots) & (`SLOTS - 1)) && oldest < `SLOTS)
    `INVARIANT(writes_newest, !writing || (write_slot == ((next_slot - 1) & (`SLOTS - 1))
                                           && at_line < `LINES))
    `INVARIANT(written_in_memory, !writing || (u.zeroer.write_frame$q % `STEP == 0
                                               && u.zeroer.write_frame$q < FRAMES))

    wire [15:0] in_ram = u.list.in_ram$q, listed = u.list.total$q;
    wire fetched = u.list.fetched$q, first = u.list.first_valid$q, second = u.list.second_valid$q;
    `INVARIANT(list, listed == in_ram + fetched + first + second
                     && 12'(u.list.tail$q - u.list.head$q) == in_ram)
    `INVARIANT(registers, !(second && !first) && !(first && second && fetched))
    `INVARIANT(taken, !u.taken$q || first)
    `INVARIANT(placed, u.placed$q == slots + listed && u.placed$q <= `DEPTH)
    wire [3:0] in_list;
    `define LISTED(N) \
        assign in_list[N] = in_ram > N \
            && u.list.ram.mem[(u.list.head$q + N) & (`DEPTH - 1)] == frame;
    `LISTED(0)
    `LISTED(1)
    `LISTED(2)
    `LISTED(3)
    wire [2:0] at_head = {fetched && u.list.ram$read_data == frame,
                          first && !u.taken$q && u.list.first$q == frame, second && u.list.second$q == frame};

    wire [9+`SLOTS:0] places = {in_queue_0, in_queue_1, in_run, in_slot, in_list, at_head};
    `INVARIANT(in_one_place, (places & (places - 1'b1)) == 0 && (places != 0) == held)
    `INVARIANT(queued_is_not, !(in_queue_0 || in_queue_1 || in_run) || !zeroed)
    `INVARIANT(listed_is_zeroed, !(in_list || at_head) || zeroed)
    `INVARIANT(owed, u.owed$q == (runs >= 1 ? `RUN(0)[43:28] : 24'b0)
        + (runs >= 2 ? `RUN(1)[43:28] : 24'b0) + (at_work ? left : 24'b0) + u.placed$q)
    `INVARIANT(offer_stands, !offered || (writing && command == {write_slot, cmd_line}))

    `REACH(taken_by_a_fault, leaves && granted)
    `REACH(taken_by_a_pop, popped)
    `REACH(pushed_again, pushed && u.zeroer.next_slot$q != 0)
    `REACH(overtaken, answered && others[ack_slot] != 0)
endmodule
