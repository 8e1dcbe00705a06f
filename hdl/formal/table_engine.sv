// The table engine's commands stay until they are taken, unchanged.
//
// block: top$manage$engine
// k: 1
// reach: 24
//
// mutant: command_stays_until_ready, the next bucket's read replaces a waiting command
//   in: top$manage$engine
//   replace: && (port_free || te_cmd_ready)
//   with:
`include "common.svh"

module proof (
    input clock, reset, te_cmd_ready, te_resp_valid, te_resp_poison,
    input [6:0] te_resp_tag,
    input [511:0] te_resp_data,
    input [27:0] table_base,
    input [4:0] table_log2,
    input [44:0] register_access
);
    `CLOCKED

    wire [45:0] bus = {register_access, reset};
    wire te_cmd_valid, te_cmd_write;
    wire [6:0] te_cmd_tag;
    wire [33:0] te_cmd_line;
    wire [63:0] te_cmd_mask;
    wire [127:0] te_cmd_entry;
    top$manage$engine u (
        .clock, .bus, .table_base, .table_log2, .te_cmd_valid, .te_cmd_write, .te_cmd_tag,
        .te_cmd_line, .te_cmd_mask, .te_cmd_entry, .te_cmd_ready, .te_resp_valid, .te_resp_tag,
        .te_resp_data, .te_resp_poison);

    // Any bit of mask and data.
    `SYMBOLIC(9, bit_)
    wire [43:0] command = {te_cmd_write, te_cmd_tag, te_cmd_line, te_cmd_mask[bit_[5:0]], te_cmd_entry[bit_[6:0]]};
    reg stood = 0;
    reg [43:0] was;
    always @(posedge clock) begin
        stood <= started && te_cmd_valid && !te_cmd_ready;
        was <= command;
    end
    `PROVE(command_stays_until_ready, !stood || (te_cmd_valid && command == was))

    `INVARIANT(reads_when_free, !u.reads$q || !te_cmd_valid)

    `REACH(waited, stood && te_cmd_ready)
endmodule
