// The DRAM command port: once up, valid stays with the same payload until ready. Each command is
// exactly one source's, unchanged; the zeroing engine's commands write zeros to whole lines.
//
// block: top$dram
// k: 1
// reach: 12
//
// mutant: command_stays_until_ready, a request that comes later is offered instead
//   in: top$dram
//   replace: locked$d = any && ~cmd_ready
//   with: locked$d = 1'b0
// mutant: one_source_a_command, the table engine is answered with the walks
//   in: top$dram
//   replace: table_ready = (pick == 32'h3) && cmd_ready
//   with: table_ready = ((pick == 32'h3) || (pick == 32'h2)) && cmd_ready
// mutant: zeroes_whole_lines, only the lower half of a line is zeroed
//   in: top$dram
//   replace: cmd_tag = ((zero_tag) & 10'h3ff) | (c_zero);
//   with: cmd_tag = ((zero_tag) & 10'h3ff) | (c_zero); cmd_mask = 64'hffffffff; if (0)
// mutant: commands_are_unchanged, an atomic's write has the tag of its read
//   in: top$dram
//   replace: if (issue_amo) begin
//   with: if (issue_amo && 0) begin
`include "common.svh"

module proof (
    input clock, reset, cmd_ready,
    input issue_present, issue_valid, issue_write, issue_amo, pte_valid, walk_valid,
    input table_valid, table_write, zero_valid,
    input [6:0] issue_slot, pte_index, walk_index, table_tag, zero_tag,
    input [33:0] issue_line, pte_line, walk_line, table_line, zero_line,
    input [63:0] issue_mask, table_mask,
    input [511:0] issue_data, table_data,
    input [1:0] pte_way,
    input [27:0] pte_frame
);
    `CLOCKED

    wire issue_ready, pte_ready, walk_ready, table_ready, zero_ready, cmd_valid, cmd_write;
    wire [9:0] cmd_tag;
    wire [33:0] cmd_line;
    wire [63:0] cmd_mask;
    wire [511:0] cmd_data;
    top$dram u (
        .clock, .reset, .issue_present, .issue_valid, .issue_write, .issue_amo, .issue_slot,
        .issue_line, .issue_mask, .issue_data, .issue_ready, .pte_valid, .pte_index, .pte_way,
        .pte_frame, .pte_line, .pte_ready, .walk_valid, .walk_index, .walk_line, .walk_ready,
        .table_valid, .table_write, .table_tag, .table_line, .table_mask, .table_data, .table_ready,
        .zero_valid, .zero_tag, .zero_line, .zero_ready, .cmd_valid, .cmd_ready, .cmd_write,
        .cmd_tag, .cmd_line, .cmd_mask, .cmd_data);

    // Mask and data count for writes only. Any of their bits.
    `SYMBOLIC(9, bit_)

    // Sources keep valid and payload until ready. The requests' `issue_valid` may come late, after
    // `issue_present`, but does not fall either.
    `define STANDS(SOURCE, VALID, PAYLOAD) \
        reg SOURCE``_waits = 0, SOURCE``_valid_was; \
        reg [$bits(PAYLOAD)-1:0] SOURCE``_was; \
        always @(posedge clock) begin \
            SOURCE``_waits <= started && (VALID) && !SOURCE``_ready; \
            SOURCE``_was <= PAYLOAD; \
            SOURCE``_valid_was <= SOURCE``_valid; \
        end \
        `ASSUME(SOURCE``_stays, !SOURCE``_waits || ((VALID) && (PAYLOAD) == SOURCE``_was \
                                                   && (SOURCE``_valid || !SOURCE``_valid_was)))
    `STANDS(issue, issue_present, {issue_write, issue_amo, issue_slot, issue_line, issue_mask[bit_[5:0]], issue_data[bit_]})
    `STANDS(pte, pte_valid, {pte_index, pte_way, pte_frame, pte_line})
    `STANDS(walk, walk_valid, {walk_index, walk_line})
    `STANDS(table, table_valid, {table_write, table_tag, table_line, table_mask[bit_[5:0]], table_data[bit_]})
    `STANDS(zero, zero_valid, {zero_tag, zero_line})
    `ASSUME(valid_is_present, !issue_valid || issue_present)

    wire mask_bit = cmd_mask[bit_[5:0]], data_bit = cmd_data[bit_];
    wire [46:0] command = {cmd_write, cmd_tag, cmd_line, mask_bit & cmd_write, data_bit & cmd_write};
    reg waits = 0;
    reg [46:0] was;
    always @(posedge clock) begin
        waits <= started && cmd_valid && !cmd_ready;
        was <= command;
    end
    `PROVE(command_stays_until_ready, !waits || (cmd_valid && command == was))

    wire taken = cmd_valid && cmd_ready;
    wire [4:0] from = {issue_valid && issue_ready, pte_valid && pte_ready, walk_valid && walk_ready,
                       table_valid && table_ready, zero_valid && zero_ready};
    `PROVE(one_source_a_command, taken ? (from != 0 && (from & (from - 1'b1)) == 0) : from == 0)
    `PROVE(zeroes_whole_lines, !from[0] || (cmd_write && cmd_tag == {3'd3, zero_tag}
        && cmd_line == zero_line && mask_bit && !data_bit))
    `PROVE(commands_are_unchanged,
        (!from[1] || (cmd_write == table_write && cmd_tag == {3'd4, table_tag}
            && cmd_line == table_line && mask_bit == table_mask[bit_[5:0]] && data_bit == table_data[bit_]))
        && (!from[2] || (!cmd_write && cmd_tag == {3'd1, walk_index} && cmd_line == walk_line))
        && (!from[3] || (cmd_write && cmd_tag == {3'd2, pte_index} && cmd_line == pte_line))
        && (!from[4] || (cmd_write == issue_write && cmd_line == issue_line
            && cmd_tag == {issue_amo ? 3'd5 : 3'd0, issue_slot}
            && mask_bit == issue_mask[bit_[5:0]] && data_bit == issue_data[bit_])))

    `REACH(waited, waits && taken)
    `REACH(requests_step_back, from[3] && issue_present && !waits)
    `REACH(comes_late, issue_waits && issue_valid && !issue_valid_was)

    // What is offered is a source that waits.
    wire [4:0] offered = {zero_waits, table_waits, walk_waits, pte_waits, issue_waits && issue_valid_was};
    `INVARIANT(locked_to_a_source, u.locked$q == waits && (!waits || (u.lock$q <= 4 && offered[u.lock$q])))
endmodule
