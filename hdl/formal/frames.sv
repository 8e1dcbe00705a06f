// Between the lanes of both sizes and the rest: a line write leaves once, unchanged, under a tag that
// names its lane and slot; valid stays with the same payload until ready; an answer reaches the slot
// that its tag names and no other; a push reaches one lane, and only if its queue has room.
//
// block: top$manage$frames
// k: 1
// reach: 16
//
// mutant: command_stays_until_ready, a second command replaces a waiting one
//   in: top$manage$frames
//   replace: advance = ~out_valid$q || zero_cmd_ready
//   with: advance = ~out_valid$q || zero_cmd_ready || pick_huge
// mutant: each_leaves_once_unchanged, both lanes believe that they have the port
//   in: top$manage$frames
//   replace: lane_4k$cmd_ready = advance && ~pick_huge
//   with: lane_4k$cmd_ready = advance
// mutant: answers_reach_their_slot, the answers of 2 MiB frames reach both lanes
//   in: top$manage$frames
//   replace: lane_4k$ack_valid = zero_ack_valid && ~zero_ack_tag[slot_bits]
//   with: lane_4k$ack_valid = zero_ack_valid
// mutant: push_has_room, room is not looked at
//   in: top$manage$frames
//   replace: if (room && |asked) begin
//   with: if (|asked) begin
// mutant: push_reaches_one_lane, a push of 2 MiB frames reaches both lanes
//   in: top$manage$frames
//   replace: lane_4k$push = pushing$q && ~push_huge$q
//   with: lane_4k$push = pushing$q
`include "common.svh"

module proof (
    input clock, reset, grant_4k_take, grant_2m_take, zero_cmd_ready, zero_ack_valid,
    input [6:0] zero_ack_tag,
    input [44:0] register_access
);
    `CLOCKED
    localparam QUEUE = 2;

    wire [45:0] bus = {register_access, reset};
    wire zero_cmd_valid;
    wire [33:0] zero_cmd_line;
    wire [6:0] zero_cmd_tag;
    top$manage$frames u (
        .clock, .bus, .grant_4k_take, .grant_2m_take, .zero_cmd_valid, .zero_cmd_line,
        .zero_cmd_tag, .zero_cmd_ready, .zero_ack_valid, .zero_ack_tag);

    // The register bus's contract: a write takes more than three cycles (see register_bus.sv).
    wire write = bus[45];
    reg [2:0] writes = 0;
    always @(posedge clock) writes <= reset ? 0 : {writes[1:0], write};
    `ASSUME(writes_take_time, !write || writes == 0)

    reg waits = 0;
    reg [40:0] was;
    always @(posedge clock) begin
        waits <= started && zero_cmd_valid && !zero_cmd_ready;
        was <= {zero_cmd_tag, zero_cmd_line};
    end
    `PROVE(command_stays_until_ready,
           !waits || (zero_cmd_valid && {zero_cmd_tag, zero_cmd_line} == was))

    // What the lanes gave in the last cycle is what is offered in this one, if nothing waits.
    wire gives_4k = u.lane_4k.cmd_valid && u.lane_4k.cmd_ready;
    wire gives_2m = u.lane_2m.cmd_valid && u.lane_2m.cmd_ready;
    reg gave_4k = 0, gave_2m = 0;
    reg [40:0] given;
    always @(posedge clock) begin
        gave_4k <= started && gives_4k;
        gave_2m <= started && gives_2m;
        given <= gives_4k ? {5'd0, u.lane_4k.cmd_slot, u.lane_4k.cmd_line}
            : {5'd1, u.lane_2m.cmd_slot, u.lane_2m.cmd_line};
    end
    `PROVE(each_leaves_once_unchanged, !(gives_4k && gives_2m)
        && (gave_4k || gave_2m ? !waits && zero_cmd_valid && {zero_cmd_tag, zero_cmd_line} == given
                               : waits || !zero_cmd_valid))

    `PROVE(answers_reach_their_slot,
        u.lane_4k.ack_valid == (zero_ack_valid && !zero_ack_tag[2])
        && u.lane_2m.ack_valid == (zero_ack_valid && zero_ack_tag[2])
        && u.lane_4k.ack_slot == zero_ack_tag[1:0] && u.lane_2m.ack_slot == zero_ack_tag[1:0])

    `PROVE(push_has_room, !(u.lane_4k.push || u.lane_2m.push)
        || u.lane_4k.queued + u.lane_2m.queued < QUEUE)
    `PROVE(push_reaches_one_lane, !(u.lane_4k.push && u.lane_2m.push))

    `REACH(both_lanes_push, u.lane_4k.cmd_valid && u.lane_2m.cmd_valid)
    `REACH(waited, waits && zero_cmd_ready)
    `REACH(full, u.lane_4k.queued + u.lane_2m.queued == QUEUE)

    `INVARIANT(offers, !(zero_cmd_valid && !(gave_4k || gave_2m)) || waits)
    `INVARIANT(at_most, u.lane_4k.queued <= QUEUE && u.lane_2m.queued <= QUEUE
        && u.lane_4k.queued + u.lane_2m.queued <= QUEUE)
    `INVARIANT(pushes_after_a_write, !u.pushing$q || (writes[0] && u.used$q < QUEUE
        && u.used$q >= u.lane_4k.queued + u.lane_2m.queued))
    `INVARIANT(used, u.used$q <= QUEUE && (u.used$q >= u.lane_4k.queued + u.lane_2m.queued || writes[1]))
endmodule
