// The accounts of the PCIe endpoint's commands: a command ends once, when all of its lines have been told,
// whichever way and in whichever order they were; its completion entry has its id, and the first error of
// its lines; its place in the ring is not begun again before.
//
// A slot is followed. The queue of entries is cut away; what it promises, fifo proves. So are the two
// memories: at the followed slot they show what was written there, elsewhere anything.
//
// block: pcie_plain$endpoint$account
// file: pcie_plain.v
// k: 1
// reach: 9
// cut: pcie_plain$endpoint$account$ends pcie_plain$endpoint$account$slots
// cut: pcie_plain$endpoint$account$begun
//
// short: three slots are cleared after a reset, instead of 256
//   in: pcie_plain$endpoint$account
//   replace: cleared = clearing$q[32'h8]
//   with: cleared = clearing$q[32'h1]
// mutant: ends_when_all_lines_are_told, it ends with the first failed line
//   in: pcie_plain$endpoint$account
//   replace: ended = (any && (left == lines))
//   with: ended = (any && ((left == lines) || |new_status))
// mutant: ends_when_all_lines_are_told, lines that were sent count as one
//   in: pcie_plain$endpoint$account
//   replace: lines = ((sent_lines) & 13'h1fff)
//   with: lines = 13'h1
// mutant: ends_when_all_lines_are_told, a command of no lines never ends
//   in: pcie_plain$endpoint$account
//   replace: || (begins && ~|start_lines)
//   with:
// mutant: entry_is_the_commands, the newest error counts
//   in: pcie_plain$endpoint$account
//   replace: if (~|status) begin
//   with: if (|new_status) begin
// mutant: entry_is_the_commands, it has the id of the one that is waiting
//   in: pcie_plain$endpoint$account
//   replace: record[(64'h0)+:(16)] = beginning[(32'h0)+:(16)]
//   with: record[(64'h0)+:(16)] = start_id
// mutant: slot_is_not_begun_twice, it is
//   in: pcie_plain$endpoint$account
//   replace: begins = start_valid && cleared && (~any) && ~|left
//   with: begins = start_valid && cleared && (~any)
// mutant: one_is_taken_a_cycle, two are told that they were
//   in: pcie_plain$endpoint$account
//   replace: wrote_ready = 1'b1
//   with: wrote_ready = 1'b1; sent_ready = 1'b1
`include "common.svh"

module proof (
    input clock, reset, start_valid, wrote_valid, sent_valid, failed_valid, lost_valid, end_ready,
    input [31:0] cycles, input [7:0] start_slot, start_status, wrote_slot, wrote_status, sent_slot,
    sent_status, failed_slot, failed_status, lost_slot, lost_status, input [15:0] start_id,
    input [12:0] start_lines, lost_lines, input [6:0] sent_lines, failed_lines, input [63:0] wrote_value
);
    `CLOCKED
    wire start_ready, wrote_ready, sent_ready, failed_ready, lost_ready;
    pcie_plain$endpoint$account u (
        .clock, .reset, .cycles, .ready(), .busy(), .start_valid, .start_ready, .start_slot, .start_id,
        .start_lines, .start_status, .wrote_valid, .wrote_ready, .wrote_slot, .wrote_status, .wrote_value,
        .sent_valid, .sent_ready, .sent_slot, .sent_lines, .sent_status, .failed_valid, .failed_ready,
        .failed_slot, .failed_lines, .failed_status, .lost_valid, .lost_ready, .lost_slot, .lost_lines,
        .lost_status, .end_valid(), .end_ready, .end_record());

    wire start = start_valid && start_ready, wrote = wrote_valid && wrote_ready;
    wire sent = sent_valid && sent_ready, failed = failed_valid && failed_ready;
    wire lost = lost_valid && lost_ready;
    `PROVE(one_is_taken_a_cycle, start + wrote + sent + failed + lost <= 1)
    wire [7:0] told_slot = wrote ? wrote_slot : sent ? sent_slot : failed ? failed_slot : lost_slot;
    wire [12:0] told_lines = wrote ? 13'd1 : sent ? {6'd0, sent_lines} : failed ? {6'd0, failed_lines}
        : lost_lines;
    wire [7:0] told_status = wrote ? wrote_status : sent ? sent_status : failed ? failed_status : lost_status;

    // A slot: whether its command is under way, the lines not told yet, its id, its first error.
    `SYMBOLIC(8, slot)
    reg [20:0] kept_slot;
    reg [47:0] kept_begun;
    always @(posedge clock) begin
        if (u.slots$write_enable && u.slots$write_address == slot) kept_slot <= u.slots$write_data;
        if (u.begun$write_enable && u.begun$write_address == slot) kept_begun <= u.begun$write_data;
    end
    `ASSUME(slots_are_memory, u.slots$read_address != slot || u.slots$read_data == kept_slot)
    `ASSUME(begun_is_memory, u.begun$read_address != slot || u.begun$read_data == kept_begun)
    reg open = 0;
    reg [12:0] due;
    reg [15:0] id;
    reg [7:0] error;
    wire begins = start && start_slot == slot;
    wire told = (wrote || sent || failed || lost) && told_slot == slot;
    wire [7:0] error_now = error != 0 ? error : told_status;
    `ASSUME(lines_are_a_commands, !told || (open && told_lines >= 1 && told_lines <= due))
    always @(posedge clock) begin
        open <= !reset && (begins ? start_lines != 0 : open && !(told && told_lines == due));
        if (begins) {due, id, error} <= {start_lines, start_id, 8'd0};
        else if (told) {due, error} <= {due - told_lines, error_now};
    end

    wire ends = u.ends$push && (start ? start_slot : told_slot) == slot;
    `PROVE(ends_when_all_lines_are_told,
        ends == ((begins && start_lines == 0) || (told && told_lines == due)))
    wire [23:0] wanted = begins ? {start_status, start_id} : {error_now, id};
    `PROVE(entry_is_the_commands, !ends || u.ends$push_data[23:0] == wanted)
    `PROVE(slot_is_not_begun_twice, !(begins && open))

    `REACH(in_three_parts, ends && failed && error != 0 && start_valid)
    `REACH(begun_again, begins && !open && kept_slot[20:13] != 0)

    wire cleared = u.clearing$q >= 256;
    `INVARIANT(clearing, u.clearing$q <= 256)
`ifndef SHORT
    `INVARIANT(nothing_before, cleared || (!open && (u.clearing$q <= slot || kept_slot == 0)))
    `INVARIANT(kept, !cleared || (open ? kept_slot == {error, due} && due != 0
        && kept_begun[15:0] == id : kept_slot[12:0] == 0))
`endif
endmodule
