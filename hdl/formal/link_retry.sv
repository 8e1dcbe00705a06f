// What the CXL link layer takes of the flits that come: only flits of right CRC, after INIT.Param, and in
// order. Between a flit that was hit, or an outage of the physical layer, and the RETRY.Ack that answers
// our newest RETRY.Req, behind four RETRY.Frame, none is taken. What is taken is to be acknowledged, and
// so is nothing else.
//
// block: cxl_link$retry
// file: cxl_link.v
// k: 1
// reach: 16
//
// mutant: good_ones_only, the CRC is not looked at
//   in: cxl_link$retry
//   replace: ok = (there && good)
//   with: ok = there
// mutant: none_out_of_order, flits are taken while a retry is waited for
//   in: cxl_link$retry
//   replace: accept = ok && normal &&
//   with: accept = ok &&
// mutant: none_out_of_order, an answer to an older request will do
//   in: cxl_link$retry
//   replace: came_answer && (slots[(32'h43)+:(5)] == num_retry$q)
//   with: came_answer
// mutant: none_out_of_order, an answer without frames will do
//   in: cxl_link$retry
//   replace: came_answer = (ok && framed) &&
//   with: came_answer = ok &&
// mutant: none_out_of_order, a sequence is not forgotten in an outage
//   in: cxl_link$retry
//   replace: frames$d = 32'h0
//   with: frames$d = frames$q
// mutant: begins_with_init, messages may come first
//   in: cxl_link$retry
//   replace: if (~opened$q) begin
//   with: if (1'b0) begin
// mutant: taken_is_acknowledged, the count stands still while one is acknowledged
//   in: cxl_link$retry
//   replace: (unacknowledged$q - owed_sent) + 32'h1
//   with: unacknowledged$q + (owed_sent == 0)
// mutant: number_counts_what_was_taken, it does not wrap where the other end does
//   in: cxl_link$retry
//   replace: if (eseq_next == wrap$q) begin
//   with: if (1'b0) begin
// mutant: given_up_is_given_up, an outage brings it back
//   in: cxl_link$retry
//   replace: if (~(state$q == Lrsm$Abort)) begin
//   with: if (1'b1) begin
// mutant: acknowledges_what_was_sent, more may be acknowledged than was sent
//   in: cxl_link$retry
//   replace: acked > ((used) & 8'hff)
//   with: 1'b0
`include "common.svh"

module proof (
    input clock, reset, phy_up, there, good, all_data, data_due, overflow, request_sent, answer_sent,
    sends, input [511:0] slots, input [3:0] unpack_fault, input [6:0] used, input [5:0] oldest,
    input [7:0] owed_sent
);
    `CLOCKED
    localparam NORMAL = 0, REQUEST = 1, IDLE = 2, REINIT = 3, ABORT = 4;
    wire take, credits, request, open, down, falls, lost, asks;
    wire [7:0] acks, owed, expected;
    wire [4:0] number;
    wire [3:0] fault;
    cxl_link$retry u (
        .clock, .reset, .phy_up, .retrain(), .there, .good, .slots, .all_data, .data_due,
        .unpack_fault, .overflow, .used, .oldest, .take, .credits, .acks, .owed, .owed_sent, .asked(),
        .asked_from(), .asked_number(), .asks, .request, .expected, .number, .trainings(),
        .request_sent, .answer_sent, .waits(), .sends, .alive(), .open, .hush(), .down, .fault,
        .falls, .corrupt(), .gave_up(), .lost);

    `ASSUME(sent_when_asked_for, !request_sent || (request && !lost))
    `ASSUME(acknowledges_what_is_owed, owed_sent <= owed)
    // The other end's buffer has less than 255 places.
    `ASSUME(other_end_stops, owed < 254)

    // A flit of the RETRY kind, by its bits (4.2.7), unless it is data that was announced; and how many
    // RETRY.Frame came in a row.
    wire is_data = all_data && u.state$q == NORMAL;
    wire is_retry = slots[0] && !is_data && slots[7:5] == 0 && slots[35:32] == 1;
    wire is_ack = is_retry && slots[39:36] == 2;
    // While it waits for the physical layer, or is given up, the link is deaf.
    wire deaf = u.state$q == REINIT || u.state$q == ABORT;
    reg [2:0] frames = 0;
    reg was_up = 0;
    wire outage = was_up && !phy_up;
    always @(posedge clock) begin
        was_up <= started && phy_up;
        if (reset || outage) frames <= 0;
        else if (there)
            frames <= deaf || !(good && is_retry && slots[39:36] == 3) ? 0 : frames == 4 ? 4 : frames + 1;
    end

    // Whether what comes now is in order, and the number of the newest request.
    reg broken = 0, asked = 0;
    reg [4:0] newest;
    wire healed = broken && asked && u.waits && there && good && frames == 4 && is_ack
        && slots[71:67] == newest;
    always @(posedge clock) begin
        if (reset) {broken, asked} <= 0;
        else if (outage || (there && !good && !broken)) {broken, asked} <= 2'b10;
        else if (healed) broken <= 0;
        else if (request_sent) {asked, newest} <= {1'b1, number};
    end

    wire counted = u.counts;
    reg was_open = 0, was_down = 0;
    always @(posedge clock) begin
        was_open <= started && (was_open || (counted && slots[0]));
        was_down <= started && down;
    end
    `PROVE(good_ones_only, !counted || (there && good))
    `PROVE(none_out_of_order, !counted || !broken)
    `PROVE(begins_with_init, !take || was_open)
    `PROVE(acknowledges_what_was_sent, acks <= used)
    `PROVE(given_up_is_given_up, !was_down || (down && !counted))

    // Flits that counted: how many are owed an acknowledgement, and the number of the next one.
    reg [7:0] mine = 0, place = 0;
    wire [7:0] next = place + 1;
    always @(posedge clock) begin
        mine <= reset ? 0 : mine + counted - owed_sent;
        place <= reset ? 0 : !counted ? place : next == u.wrap$q ? 0 : next;
    end
    `PROVE(taken_is_acknowledged, owed == mine)
    `PROVE(number_counts_what_was_taken, expected == place)

    `REACH(taken_again, take && expected == 2 && asked)
    `REACH(asked_again, request_sent && number == 2)

    `INVARIANT(states, u.state$q <= ABORT)
    `INVARIANT(frames_counted, u.frames$q == frames)
    `INVARIANT(frames_in_row, u.frames$q <= 4 && frames <= 4)
    `INVARIANT(normal_is_in_order, u.state$q != NORMAL || !broken)
    `INVARIANT(others_are_not, u.state$q == NORMAL || u.state$q == ABORT || broken)
    `INVARIANT(idle_is_asked, u.state$q != IDLE || (broken && asked && newest == u.num_retry$q))
    `INVARIANT(up_is_up, u.was_up$q == was_up)
    `INVARIANT(opened, u.opened$q == was_open)
endmodule
