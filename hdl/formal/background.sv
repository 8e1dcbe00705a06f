// What no request waits for, before the DRAM port: each command comes once from one source, unchanged,
// and stays until it is taken; the zeroing engine writes zeros to whole lines; none of them starves.
//
// block: top$background
// k: 1
// reach: 12
//
// mutant: one_source_a_command, a PTE write is answered while a line is zeroed
//   in: top$background
//   replace: pte_ready = picks_pte && room
//   with: pte_ready = (picks_pte || picks_zero) && room
// mutant: zeroes_whole_lines, only the lower half of a line is zeroed
//   in: top$background
//   replace: whole_line = 64'hffffffffffffffff
//   with: whole_line = 64'hffffffff
// mutant: commands_are_unchanged, a read of the table engine is a write
//   in: top$background
//   replace: ((table_write) & 237'h
//   with: ((1'b1) & 237'h
// mutant: command_stays_until_ready, the next command replaces a waiting one
//   in: top$background$out
//   replace: if ((~head_valid$q) || out_ready) begin
//   with: if ((~head_valid$q) || out_ready || in_valid) begin
// mutant: table_gets_its_turn, PTE writes always pass the table engine
//   in: top$background
//   replace: passed$d = 1'b1
//   with: passed$d = 1'b0
// mutant: zeroing_gets_its_turn, the zeroing engine's patience is never counted
//   in: top$background
//   replace: patience$d = patience$q + 32'h1
//   with: patience$d = patience$q
`include "common.svh"

module proof (
    input clock, reset, ready, pte_valid, table_valid, table_write, zero_valid,
    input [6:0] pte_index, table_tag, zero_tag,
    input [33:0] pte_line, table_line, zero_line,
    input [63:0] table_mask,
    input [127:0] table_entry,
    input [1:0] pte_way,
    input [27:0] pte_frame
);
    `CLOCKED

    wire pte_ready, table_ready, zero_ready, valid, write;
    wire [9:0] tag;
    wire [33:0] line;
    wire [63:0] mask;
    wire [127:0] entry;
    top$background u (
        .clock, .reset, .pte_valid, .pte_index, .pte_way, .pte_frame, .pte_line, .pte_ready, .table_valid,
        .table_write, .table_tag, .table_line, .table_mask, .table_entry, .table_ready, .zero_valid, .zero_tag,
        .zero_line, .zero_ready, .valid, .ready, .write, .tag, .line, .mask, .entry);

    // Any bit of mask and entry.
    `SYMBOLIC(7, bit_)
    wire [46:0] command = {write, tag, line, mask[bit_[5:0]], entry[bit_]};
    wire [2:0] asks = {pte_valid, table_valid, zero_valid}, gets = {pte_ready, table_ready, zero_ready};
    wire [2:0] from = asks & gets;
    reg [2:0] waits = 0;
    always @(posedge clock) waits <= started ? asks & ~gets : 0;
    `ASSUME(sources_wait, (waits & ~asks) == 0)

    // What came in, as its source had it, oldest first. A PTE write sets a frame and PRESENT, bytes 1 and 12
    // to 15 of its entry.
    wire [6:0] byte_ = bit_[5:0] - {pte_way, 4'b0};
    wire pte_mask = byte_ == 1 || (byte_ >= 12 && byte_ < 16);
    wire pte_bit = bit_ == 8 || (bit_ >= 96 && bit_ < 124 && pte_frame[bit_ - 96]);
    wire [46:0] comes = from[2] ? {1'b1, 3'd2, pte_index, pte_line, pte_mask, pte_bit}
        : from[1] ? {table_write, 3'd4, table_tag, table_line, table_mask[bit_[5:0]], table_entry[bit_]}
        : {1'b1, 3'd3, zero_tag, zero_line, 1'b1, 1'b0};
    reg [46:0] kept [0:1];
    reg zeroes [0:1];
    reg [1:0] count = 0;
    wire goes = valid && ready;
    always @(posedge clock) begin
        if (goes) {kept[0], zeroes[0]} <= {kept[1], zeroes[1]};
        if (from != 0) {kept[count - goes], zeroes[count - goes]} <= {comes, from[0]};
        count <= reset ? 0 : count + (from != 0) - goes;
    end
    `PROVE(one_source_a_command, (from & (from - 1'b1)) == 0 && count <= 2 && !(count == 2 && from != 0)
        && valid == (count != 0))
    `PROVE(zeroes_whole_lines, !(valid && zeroes[0]) || (write && mask[bit_[5:0]] && !entry[bit_]))
    `PROVE(commands_are_unchanged, !valid || command == kept[0])
    reg stood = 0;
    reg [46:0] was;
    always @(posedge clock) begin
        stood <= started && valid && !ready;
        was <= command;
    end
    `PROVE(command_stays_until_ready, !stood || (valid && command == was))

    reg [3:0] before_table = 0, before_zero = 0;
    reg zero_passed = 0; // while the table engine waited
    always @(posedge clock) begin
        before_table <= (reset || !table_valid || table_ready) ? 0 : before_table + (from != 0);
        zero_passed <= !reset && table_valid && !table_ready && (zero_passed || from[0]);
        before_zero <= (reset || !zero_valid || zero_ready) ? 0 : before_zero + (from != 0);
    end
    `PROVE(table_gets_its_turn, before_table <= 2)
    `PROVE(zeroing_gets_its_turn, before_zero <= 4)

    `REACH(full, count == 2 && ready && entry[bit_])
    `REACH(table_waited, before_table == 2 && table_ready)
    `REACH(zeroing_waited, before_zero == 4 && zero_ready)

    `INVARIANT(holds, count == u.out.head_valid$q + u.out.kept_valid$q && (u.out.head_valid$q || !u.out.kept_valid$q)
        && u.out.room$q == !u.out.kept_valid$q
        && (count < 2 || {u.out.kept$q[236:192], u.out.kept$q[128 + bit_[5:0]], u.out.kept$q[bit_]} == kept[1]))
    `INVARIANT(zeroed, (count < 1 || !zeroes[0] || (kept[0][46] && kept[0][1:0] == 2'b10))
        && (count < 2 || !zeroes[1] || (kept[1][46] && kept[1][1:0] == 2'b10)))
    `INVARIANT(stands, !stood || (count != 0 && kept[0] == was))
    `INVARIANT(patience, before_zero == u.patience$q && u.patience$q <= 4)
    `INVARIANT(passed, before_table <= u.passed$q + zero_passed && (!zero_passed || u.patience$q <= u.passed$q))
endmodule
