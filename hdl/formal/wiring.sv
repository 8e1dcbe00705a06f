// The component's pins are those of the blocks on which the other proofs stand, and what one proof
// assumes of its neighbour comes from the neighbour that promises it. All blocks are cut away here:
// what they say can be anything at any time.
//
// And no output follows an input within the cycle, but for the ready of the request ports, which
// follows their valid (they take turns). So no valid waits for its ready.
//
// block: top
// k: 1
// reach: 3
// cut: top$intake top$tlb top$bucket top$walks top$walk_queue top$matcher top$dispatch top$replay
// cut: top$issue top$order top$dram top$completion top$amo top$responses_0 top$responses_1
// cut: top$shootdown top$manage$registers top$manage$frames top$manage$engine top$manage$events
// cut: top$accepted top$entrance top$hits top$sends top$turns top$zeroes top$background top$commands top$manage$mailbox top$manage$interrupts top$manage$shootdown
// paths: outputs_come_from_registers, p0_req_ready p1_req_ready from p0_req_valid p1_req_valid
//
// mutant: outputs_come_from_registers, a DRAM command waits for the DRAM to be ready
//   in: top$commands
//   replace: out_valid = kept_valid$q ||
//   with: out_valid = out_ready && kept_valid$q ||
// mutant: outputs_come_from_registers, an answer shows in the cycle of its reply
//   in: top
//   replace: p1_resp_valid = responses_1$valid
//   with: p1_resp_valid = responses_1$valid || dram_resp_valid
// mutant: outputs_come_from_registers, ready of the DRAM's replies follows their tag
//   in: top$completion
//   replace: dram_ready = ~c_valid$q || go
//   with: dram_ready = ~c_valid$q || go || dram_tag[9]
// mutant: answers_are_the_queues, the second port's answers have the first one's tags
//   in: top
//   replace: p1_resp_tag = responses_1$tag
//   with: p1_resp_tag = responses_0$tag
// mutant: each_end_is_one_answer, failed requests go to both ports
//   in: top
//   replace: responses_0$push = completion$finish && ~completion$port
//   with: responses_0$push = completion$finish && (~completion$port || completion$failed)
// mutant: each_end_retires_once, a request that fails does not retire
//   in: top
//   replace: retire_valid = completion$finish
//   with: retire_valid = completion$finish && ~completion$failed
// mutant: requests_are_accepted_once, the line order forgets the second port's requests
//   in: top
//   replace: order$accept = accepted$valid
//   with: order$accept = accepted$valid && ~accepted$slot[1]
// mutant: commands_are_the_dram_ports, the write mask is not connected
//   in: top
//   replace: dram_cmd_mask = beats$beat_mask
//   with: dram_cmd_mask = 64'h0
// mutant: commands_have_their_sources, a walk counts as read while an atomic's write goes
//   in: top
//   replace: dram$walk_valid = walk_queue$nonempty
//   with: dram$walk_valid = walk_queue$nonempty && ~issue$amo
// mutant: commands_have_their_sources, a request goes on though its line is held
//   in: top
//   replace: sends$drop = order$conflict
//   with: sends$drop = 1'b0
// mutant: replies_reach_the_completion, a poisoned reply is always taken
//   in: top
//   replace: dram_resp_ready = beats$reply_ready
//   with: dram_resp_ready = beats$reply_ready || dram_resp_poison
// mutant: zeroed_lines_reach_their_lane, the answers to PTE writes count as zeroed lines
//   in: top
//   replace: manage$zero_ack_valid = completion$zero_acked
//   with: manage$zero_ack_valid = completion$zero_acked || completion$pte_written
// mutant: grants_are_the_lists, a frame stays in the list when a write took it
//   in: top
//   replace: manage$grant_4k_take = replay$grant_4k_take
//   with: manage$grant_4k_take = replay$grant_4k_take && ~issue$write
// mutant: register_buses_are_the_bus_blocks, the host sees what the monitor reads
//   in: top$manage
//   replace: h_rdata = registers$h_rdata
//   with: h_rdata = registers$m_rdata
// mutant: hits_go_to_the_issue_stage, a waiter that is replayed passes a hit that came before
//   in: top
//   replace: issue$replay_active = replay$active && hits$in_ready
//   with: issue$replay_active = replay$active
// mutant: lookups_are_as_asked, an invalidation's pid goes to requests too
//   in: top
//   replace: if (shootdown$invalidate) begin
//   with: if (1'b1) begin
`include "common.svh"

module proof (
    input clock, reset, p0_req_valid, p1_req_valid, p0_resp_ready, p1_resp_ready, dram_cmd_ready,
    input dram_resp_valid, dram_resp_poison, m_valid, m_write, h_valid, h_write,
    input [2:0] p0_req_op, p1_req_op,
    input [15:0] p0_req_tag, p1_req_tag, p0_req_pid, p1_req_pid,
    input [47:0] p0_req_va, p1_req_va,
    input [63:0] p0_req_mask, p1_req_mask,
    input [511:0] p0_req_data, p1_req_data, dram_resp_data,
    input [9:0] dram_resp_tag,
    input [11:0] m_addr, h_addr,
    input [31:0] m_wdata, h_wdata
);
    `CLOCKED

    wire p0_req_ready, p1_req_ready, p0_resp_valid, p1_resp_valid, dram_cmd_valid, dram_cmd_write;
    wire dram_resp_ready, m_done, m_error, h_done, h_error, retire_valid, retire_port;
    wire [15:0] p0_resp_tag, p1_resp_tag, retire_tag;
    wire [2:0] p0_resp_status, p1_resp_status, retire_status;
    wire [511:0] p0_resp_data, p1_resp_data, dram_cmd_data;
    wire [9:0] dram_cmd_tag;
    wire [33:0] dram_cmd_line;
    wire [63:0] dram_cmd_mask;
    wire [31:0] m_rdata, h_rdata;
    top u (
        .clock, .reset, .p0_req_valid, .p0_req_ready, .p0_req_op, .p0_req_tag, .p0_req_pid,
        .p0_req_va, .p0_req_mask, .p0_req_data, .p0_resp_valid, .p0_resp_ready, .p0_resp_tag,
        .p0_resp_status, .p0_resp_data, .p1_req_valid, .p1_req_ready, .p1_req_op, .p1_req_tag,
        .p1_req_pid, .p1_req_va, .p1_req_mask, .p1_req_data, .p1_resp_valid, .p1_resp_ready,
        .p1_resp_tag, .p1_resp_status, .p1_resp_data, .dram_cmd_valid, .dram_cmd_ready,
        .dram_cmd_write, .dram_cmd_tag, .dram_cmd_line, .dram_cmd_mask, .dram_cmd_data,
        .dram_resp_valid, .dram_resp_ready, .dram_resp_tag, .dram_resp_data, .dram_resp_poison,
        .m_valid, .m_write, .m_addr, .m_wdata, .m_done, .m_rdata, .m_error, .h_valid, .h_write,
        .h_addr, .h_wdata, .h_done, .h_rdata, .h_error, .retire_valid, .retire_port, .retire_tag,
        .retire_status);

    // Out of response_fifo.sv.
    `PROVE(answers_are_the_queues,
        {p0_resp_valid, p0_resp_tag, p0_resp_status, p0_resp_data, u.responses_0$ready}
        == {u.responses_0$valid, u.responses_0$tag, u.responses_0$status, u.responses_0$data, p0_resp_ready}
        && {p1_resp_valid, p1_resp_tag, p1_resp_status, p1_resp_data, u.responses_1$ready}
        == {u.responses_1$valid, u.responses_1$tag, u.responses_1$status, u.responses_1$data, p1_resp_ready})

    // From completion.sv to response_fifo.sv, to line_order.sv and to the tap.
    wire [538:0] ends = {u.completion$slot, u.completion$tag, u.completion$status, u.completion$data};
    `PROVE(each_end_is_one_answer,
        {u.responses_1$push, u.responses_0$push} == ({2{u.completion$finish}} & {u.completion$port, !u.completion$port})
        && {u.responses_0$push_slot, u.responses_0$push_tag, u.responses_0$push_status, u.responses_0$push_data} == ends
        && {u.responses_1$push_slot, u.responses_1$push_tag, u.responses_1$push_status, u.responses_1$push_data} == ends)
    reg [7:0] ended = 0; // the line order hears of it a cycle later
    always @(posedge clock) ended <= {u.completion$finish && !u.resets$q, u.completion$slot};
    `PROVE(each_end_retires_once,
        {retire_valid, retire_port, retire_tag, retire_status}
        == {u.completion$finish, u.completion$port, u.completion$tag, u.completion$status}
        && u.order$finish == ended[7] && (!ended[7] || u.order$finish_slot == ended[6:0]))

    // Into intake.sv, from there to issue.sv, line_order.sv and completion.sv; slots come back from
    // response_fifo.sv.
    wire [7:0] accepts = {u.accepted$valid, u.accepted$slot};
    `PROVE(requests_are_accepted_once,
        {p1_req_ready, p0_req_ready, u.intake$p1_valid, u.intake$p0_valid}
        == {u.intake$p1_ready, u.intake$p0_ready, p1_req_valid, p0_req_valid}
        && {u.intake$p0_op, u.intake$p0_tag, u.intake$p0_pid, u.intake$p0_va}
        == {p0_req_op, p0_req_tag, p0_req_pid, p0_req_va}
        && {u.intake$p1_op, u.intake$p1_tag, u.intake$p1_pid, u.intake$p1_va}
        == {p1_req_op, p1_req_tag, p1_req_pid, p1_req_va}
        && {u.accepted$accept, u.accepted$accept_slot} == {u.intake$valid, u.intake$slot}
        && {u.accepted$accept_op, u.accepted$accept_tag, u.accepted$accept_pid, u.accepted$accept_va}
        == {u.intake$op, u.intake$tag, u.intake$pid, u.intake$va}
        && {u.accepted$accept_port, u.accepted$p1_mask, u.accepted$p1_data, u.accepted$p0_mask, u.accepted$p0_data}
        == {u.intake$port, p1_req_mask, p1_req_data, p0_req_mask, p0_req_data}
        && {u.issue$accept, u.issue$accept_slot} == accepts && {u.order$accept, u.order$accept_slot} == accepts
        && {u.completion$accept, u.completion$accept_slot} == accepts
        && {u.completion$accept_op, u.completion$accept_tag, u.completion$accept_pid, u.completion$accept_va}
        == {u.accepted$op, u.accepted$tag, u.accepted$pid, u.accepted$va}
        && {u.issue$accept_mask, u.issue$accept_data} == {u.accepted$mask, u.accepted$data}
        && {u.intake$give_0, u.intake$give_0_slot} == {p0_resp_valid && p0_resp_ready, u.responses_0$slot}
        && {u.intake$give_1, u.intake$give_1_slot} == {p1_resp_valid && p1_resp_ready, u.responses_1$slot})

    // Out of dram_port.sv, into it from issue.sv, fifo.sv and frames.sv.
    `PROVE(commands_are_the_dram_ports,
        {u.commands$in_valid, u.commands$in_data, u.dram$cmd_ready}
        == {u.dram$cmd_valid, u.dram$cmd_write, u.dram$cmd_tag, u.dram$cmd_line, u.dram$cmd_mask, u.dram$cmd_data,
            u.commands$in_ready}
        && {dram_cmd_valid, dram_cmd_write, dram_cmd_tag, dram_cmd_line, dram_cmd_mask, dram_cmd_data,
            u.commands$out_ready}
        == {u.commands$out_valid, u.commands$out_data, dram_cmd_ready})
    `PROVE(commands_have_their_sources,
        {u.sends$in_valid, u.sends$in_data, u.issue$ready, u.sends$drop}
        == {u.issue$valid, u.issue$amo, u.issue$write, u.issue$slot, u.issue$line, u.issue$mask, u.issue$data,
            u.sends$in_ready, u.order$conflict}
        && {u.dram$issue_present, u.dram$issue_valid, u.dram$issue_amo, u.dram$issue_write, u.dram$issue_slot,
            u.dram$issue_line, u.dram$issue_mask, u.dram$issue_data, u.sends$out_ready}
        == {u.sends$present, u.sends$out_valid, u.sends$out_data, u.dram$issue_ready}
        && {u.order$slot, u.order$line, u.order$write, u.order$pass}
        == {u.issue$slot, u.issue$line, u.issue$write, u.issue$pass}
        && {u.turns$in_valid, u.turns$in_data, u.order$wake_take}
        == {u.order$wake_valid, u.order$wake_slot, u.order$wake_valid && u.turns$in_ready}
        && {u.issue$wake_valid, u.issue$wake_slot, u.turns$out_ready}
        == {u.turns$out_valid, u.turns$out_data, u.issue$wake_take}
        && {u.dram$back_valid, u.dram$back_write, u.dram$back_tag, u.dram$back_line, u.dram$back_mask, u.dram$back_entry,
            u.background$ready}
        == {u.background$valid, u.background$write, u.background$tag, u.background$line, u.background$mask,
            u.background$entry, u.dram$back_ready}
        && {u.background$pte_valid, u.background$pte_index, u.background$pte_way, u.background$pte_frame,
            u.background$pte_line, u.replay$pte_ready}
        == {u.replay$pte_valid, u.replay$pte_index, u.replay$pte_way, u.replay$pte_frame, u.replay$pte_line,
            u.background$pte_ready}
        && {u.dram$walk_valid, u.dram$walk_index, u.dram$walk_line, u.walk_queue$pop}
        == {u.walk_queue$nonempty, u.walk_queue$head, u.walk_queue$nonempty && u.dram$walk_ready}
        && {u.background$table_valid, u.background$table_write, u.background$table_tag, u.background$table_line,
            u.background$table_mask, u.background$table_entry, u.manage.engine$te_cmd_ready}
        == {u.manage.engine$te_cmd_valid, u.manage.engine$te_cmd_write, u.manage.engine$te_cmd_tag,
            u.manage.engine$te_cmd_line, u.manage.engine$te_cmd_mask, u.manage.engine$te_cmd_entry,
            u.background$table_ready}
        && {u.zeroes$in_valid, u.zeroes$in_data, u.manage.frames$zero_cmd_ready}
        == {u.manage.frames$zero_cmd_valid, u.manage.frames$zero_cmd_tag, u.manage.frames$zero_cmd_line, u.zeroes$in_ready}
        && {u.background$zero_valid, u.background$zero_tag, u.background$zero_line, u.zeroes$out_ready}
        == {u.zeroes$out_valid, u.zeroes$out_data, u.background$zero_ready})

    // From dispatch.sv to issue.sv: a hit comes in while no waiter that is replayed stands before the issue
    // stage, and one that came in goes first. (What is kept between them: dram_buffer.sv, the same block.)
    `PROVE(hits_go_to_the_issue_stage,
        {u.hits$in_valid, u.hits$in_data, u.dispatch$issue_ready}
        == {u.dispatch$issue, u.dispatch$issue_write, u.tlb$slot_3, u.dispatch$issue_line,
            u.hits$in_ready && !u.replay$active}
        && {u.issue$hit_issue, u.issue$hit_write, u.issue$hit_slot, u.issue$hit_line, u.hits$out_ready}
        == {u.hits$out_valid && u.issue$hit_ready, u.hits$out_data, u.issue$hit_ready}
        && u.issue$replay_active == (u.replay$active && u.hits$in_ready))

    // Into completion.sv, from there to frames.sv.
    `PROVE(replies_reach_the_completion,
        {u.completion$dram_valid, u.completion$dram_tag, u.completion$dram_data, u.completion$dram_poison, dram_resp_ready}
        == {dram_resp_valid, dram_resp_tag, dram_resp_data, dram_resp_poison, u.completion$dram_ready})
    `PROVE(zeroed_lines_reach_their_lane,
        {u.manage.frames$zero_ack_valid, u.manage.frames$zero_ack_tag} == {u.completion$zero_acked, u.completion$index})

    // From frame_lane_*.sv to the fault unit.
    `PROVE(grants_are_the_lists,
        {u.replay$grant_4k_valid, u.replay$grant_4k_frame, u.replay$grant_2m_valid, u.replay$grant_2m_frame,
         u.manage.frames$grant_4k_take, u.manage.frames$grant_2m_take}
        == {u.manage.frames$grant_4k_valid, u.manage.frames$grant_4k_frame, u.manage.frames$grant_2m_valid,
            u.manage.frames$grant_2m_frame, u.replay$grant_4k_take, u.replay$grant_2m_take})

    // Out of register_bus.sv, which has the inner bus for itself.
    `PROVE(register_buses_are_the_bus_blocks,
        {m_done, m_rdata, m_error, h_done, h_rdata, h_error}
        == {u.manage.registers$m_done, u.manage.registers$m_rdata, u.manage.registers$m_error,
            u.manage.registers$h_done, u.manage.registers$h_rdata, u.manage.registers$h_error}
        && {u.manage.registers$m_valid, u.manage.registers$m_write, u.manage.registers$m_addr, u.manage.registers$m_wdata,
            u.manage.registers$h_valid, u.manage.registers$h_write, u.manage.registers$h_addr, u.manage.registers$h_wdata}
        == {m_valid, m_write, m_addr, m_wdata, h_valid, h_write, h_addr, h_wdata}
        && u.manage.frames$bus == u.manage.registers$bus)

    // Into tlb.sv: a request's own pid and address, or those of an invalidation, never both.
    `PROVE(lookups_are_as_asked,
        {u.entrance$in_valid, u.entrance$in_data}
        == {u.intake$valid, u.intake$op, u.intake$slot, u.intake$pid, u.intake$va}
        && u.intake$advance == u.entrance$in_ready
        && u.entrance$out_ready == (u.dispatch$advance && !u.shootdown$invalidate)
        && u.tlb$valid_0 == (u.entrance$out_valid && !u.shootdown$invalidate)
        && {u.tlb$op_0, u.tlb$slot_0} == u.entrance$out_data[73:64]
        && u.tlb$invalidate_0 == u.shootdown$invalidate
        && u.intake$invalidating == u.shootdown$invalidate
        && (u.shootdown$invalidate || {u.tlb$pid_0, u.tlb$va_0} == u.entrance$out_data[63:0])
        && (!u.shootdown$invalidate || {u.tlb$pid_0, u.tlb$va_0} == {u.shootdown$out_pid, u.shootdown$out_va})
        && (!u.tlb$any_key_0 || u.shootdown$invalidate)
        && {u.dispatch$good, u.dispatch$bad, u.dispatch$op, u.dispatch$hit, u.dispatch$frame, u.dispatch$allowed}
        == {u.tlb$good_3, u.tlb$bad_3, u.tlb$op_3, u.tlb$hit_3, u.tlb$frame_3, u.tlb$allowed_3}
        && {u.tlb$fill, u.tlb$fill_pid, u.tlb$fill_key, u.tlb$fill_frame, u.tlb$fill_read, u.tlb$fill_write}
        == {u.replay$fill, u.replay$fill_pid, u.replay$fill_key, u.replay$fill_frame, u.replay$fill_read,
            u.replay$fill_write})

    `REACH(everything_at_once, p0_resp_valid && dram_cmd_valid && retire_valid && m_done && p1_req_ready)
endmodule
