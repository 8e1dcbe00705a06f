// No source of DRAM commands starves: after eight commands of the requests another source that waits gets
// one, the table engine after 17 of others, the zeroing engine after 16.
//
// block: top$dram
// k: 1
// reach: 20
//
// mutant: requests_step_back, the requests' patience does not end
//   in: top$dram
//   replace: && ~(others && patience$q[32'h3])
//   with:
// mutant: zeroing_gets_its_turn, the zeroing engine's patience is never counted
//   in: top$dram
//   replace: zero_patience$d = zero_patience$q + 32'h1
//   with: zero_patience$d = zero_patience$q
// mutant: table_gets_its_turn, walks always pass the table engine
//   in: top$dram
//   replace: if (table_valid && passed$q) begin
//   with: if (1'b0) begin
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

    wire issue_ready, pte_ready, walk_ready, table_ready, zero_ready, cmd_valid;
    top$dram u (
        .clock, .reset, .issue_present, .issue_valid, .issue_write, .issue_amo, .issue_slot,
        .issue_line, .issue_mask, .issue_data, .issue_ready, .pte_valid, .pte_index, .pte_way,
        .pte_frame, .pte_line, .pte_ready, .walk_valid, .walk_index, .walk_line, .walk_ready,
        .table_valid, .table_write, .table_tag, .table_line, .table_mask, .table_data, .table_ready,
        .zero_valid, .zero_tag, .zero_line, .zero_ready, .cmd_valid, .cmd_ready);

    // Sources keep valid until ready; the requests' may come late, see dram_port.sv.
    reg [5:0] waits = 0;
    wire [5:0] asks = {issue_valid, issue_present, pte_valid, walk_valid, table_valid, zero_valid};
    wire [5:0] gets = {issue_ready, issue_ready, pte_ready, walk_ready, table_ready, zero_ready};
    always @(posedge clock) waits <= started ? asks & ~gets : 0;
    `ASSUME(sources_wait, (waits & ~asks) == 0)
    `ASSUME(valid_is_present, !issue_valid || issue_present)

    // Commands that a source saw pass. The zeroing engine's count for none of the others: they are
    // one in seventeen.
    wire taken = cmd_valid && cmd_ready;
    wire others = pte_valid || walk_valid || table_valid;
    wire others_get = (pte_valid && pte_ready) || (walk_valid && walk_ready) || (table_valid && table_ready);
    wire zeroing_gets = zero_valid && zero_ready;
    reg [5:0] before_others = 0, before_table = 0, before_zeroing = 0;
    always @(posedge clock) begin
        before_others <= (reset || !others || others_get) ? 0 : before_others + (taken && !zeroing_gets);
        before_table <= (reset || !table_valid || table_ready) ? 0
            : before_table + (taken && !zeroing_gets);
        before_zeroing <= (reset || !zero_valid || zeroing_gets) ? 0 : before_zeroing + taken;
    end
    `PROVE(requests_step_back, before_others <= 8)
    `PROVE(table_gets_its_turn, before_table <= 17)
    `PROVE(zeroing_gets_its_turn, before_zeroing <= 16)

    `REACH(others_waited, before_others == 8 && walk_valid && walk_ready)
    `REACH(table_waited, before_table == 9 && walk_valid)
    `REACH(table_passes, table_ready && walk_valid && before_table == 1)

    wire [5:0] locked = 1 << (u.lock$q == 0 ? 5 : 4 - u.lock$q);
    `INVARIANT(locked_to_a_source, !u.locked$q || (u.lock$q <= 4 && (waits & locked) != 0))
    `INVARIANT(patience, before_others <= u.patience$q && u.patience$q <= 8)
    `INVARIANT(zero_patience, before_zeroing == u.zero_patience$q)
    `INVARIANT(zeroing_is_next, !u.zero_patience$q[4] || !u.locked$q || u.lock$q == 4)
    `INVARIANT(others_are_next, !u.patience$q[3] || !u.locked$q || u.lock$q != 0)
    `INVARIANT(table_is_next, !u.passed$q || !u.locked$q || (u.lock$q != 1 && u.lock$q != 2))
    `INVARIANT(passed, before_table <= (u.passed$q ? 9 : 0) + u.patience$q)
endmodule
