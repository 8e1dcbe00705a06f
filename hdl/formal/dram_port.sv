// The DRAM port: each command is exactly one source's, unchanged, and that source is told. (What stands
// at the pins stays until it is taken: dram_buffer.sv.)
//
// block: top$dram
// k: 1
// reach: 12
//
// mutant: one_source_a_command, the background is answered with the walks
//   in: top$dram
//   replace: back_ready = picks_back && cmd_ready
//   with: back_ready = (picks_back || picks_walk) && cmd_ready
// mutant: one_source_a_command, a request that must wait goes too
//   in: top$dram
//   replace: (picks_issue && issue_valid)
//   with: picks_issue
// mutant: commands_are_unchanged, an atomic's write has the tag of its read
//   in: top$dram
//   replace: if (issue_amo) begin
//   with: if (issue_amo && 0) begin
// mutant: commands_are_unchanged, a walk is a write if the waiting request is one
//   in: top$dram
//   replace: cmd_write = 1'b0
//   with: cmd_write = issue_write
`include "common.svh"

module proof (
    input clock, reset, cmd_ready,
    input issue_present, issue_valid, issue_write, issue_amo, walk_valid, back_valid, back_write,
    input [6:0] issue_slot, walk_index,
    input [9:0] back_tag,
    input [33:0] issue_line, walk_line, back_line,
    input [63:0] issue_mask, back_mask,
    input [511:0] issue_data,
    input [127:0] back_entry
);
    `CLOCKED

    wire issue_ready, walk_ready, back_ready, cmd_valid, cmd_write;
    wire [9:0] cmd_tag;
    wire [33:0] cmd_line;
    wire [63:0] cmd_mask;
    wire [511:0] cmd_data;
    top$dram u (
        .clock, .reset, .issue_present, .issue_valid, .issue_write, .issue_amo, .issue_slot,
        .issue_line, .issue_mask, .issue_data, .issue_ready, .walk_valid, .walk_index, .walk_line,
        .walk_ready, .back_valid, .back_write, .back_tag, .back_line, .back_mask, .back_entry,
        .back_ready, .cmd_valid, .cmd_ready, .cmd_write, .cmd_tag, .cmd_line, .cmd_mask, .cmd_data);
    `ASSUME(valid_is_present, !issue_valid || issue_present)

    // Mask and data count for writes only. Any of their bits.
    `SYMBOLIC(9, bit_)
    wire mask_bit = cmd_mask[bit_[5:0]], data_bit = cmd_data[bit_];
    wire taken = cmd_valid && cmd_ready;
    wire [2:0] from = {issue_valid && issue_ready, walk_valid && walk_ready, back_valid && back_ready};
    `PROVE(one_source_a_command, taken ? (from != 0 && (from & (from - 1'b1)) == 0) : from == 0)
    `PROVE(commands_are_unchanged,
        (!from[0] || (cmd_write == back_write && cmd_tag == back_tag && cmd_line == back_line
            && mask_bit == back_mask[bit_[5:0]] && data_bit == back_entry[bit_[6:0]]))
        && (!from[1] || (!cmd_write && cmd_tag == {3'd1, walk_index} && cmd_line == walk_line))
        && (!from[2] || (cmd_write == issue_write && cmd_line == issue_line
            && cmd_tag == {issue_amo ? 3'd5 : 3'd0, issue_slot}
            && mask_bit == issue_mask[bit_[5:0]] && data_bit == issue_data[bit_])))

    `REACH(requests_step_back, from[1] && issue_present)
    `REACH(walks_step_back, from[0] && walk_valid && issue_present)
    `REACH(must_wait, issue_ready && !issue_valid)
endmodule
