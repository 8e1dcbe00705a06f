// DMA commands cut into pieces, each for one TLP: the pieces of a command are all of its lines, each once,
// at consecutive addresses of the component; none crosses a multiple of the maximum payload size (or of the
// maximum read request size) of the host's memory, hence none 4 KiB; what a scatter list that cannot be
// read leaves over is told. What stands at an output stays until it is taken.
//
// block: pcie_plain$endpoint$commands
// file: pcie_plain.v
// k: 1
// reach: 14
//
// mutant: pieces_are_of_the_command, the last piece is as long as any
//   in: pcie_plain$endpoint$commands
//   replace: most = left$q
//   with: most = 13'd64
// mutant: pieces_are_of_the_command, the next command does not wait for the last piece
//   in: pcie_plain$endpoint$commands
//   replace: if (left$q == ((piece$q) & 13'h1fff)) begin
//   with: if (1'b1) begin
// mutant: pieces_follow_one_another, a line of the component is left out
//   in: pcie_plain$endpoint$commands
//   replace: va_now$d = va_now$q + ((step) & 48'hffffffffffff)
//   with: va_now$d = va_now$q + ((step + 64) & 48'hffffffffffff)
// mutant: none_crosses_a_boundary, reads have the payload's boundary
//   in: pcie_plain$endpoint$commands
//   replace: unit = read_lines
//   with: unit = payload_lines
// mutant: none_crosses_a_boundary, a piece begins anywhere
//   in: pcie_plain$endpoint$commands
//   replace: if (to_boundary < most) begin
//   with: if (13'd64 < most) begin
// mutant: lost_lines_are_told, one is left out
//   in: pcie_plain$endpoint$commands
//   replace: lost_lines = left$q
//   with: lost_lines = left$q - 32'h1
// mutant: a_list_is_read_where_there_is_one, it is read without
//   in: pcie_plain$endpoint$commands
//   replace: here$d = ((count) & 13'h1fff)
//   with: here$d = 13'd1
// mutant: outputs_stand, a piece does not wait
//   in: pcie_plain$endpoint$commands
//   replace: taken = ((op == 32'h1) && out_ready) || ((op == 32'h2) && in_ready)
//   with: taken = out_ready || in_ready
`include "common.svh"

module proof (
    input clock, reset, command_valid, start_ready, out_ready, in_ready, atomic_ready, list_ready, line,
    lost_ready, input [7:0] command_slot, command_status, line_status,
    input [511:0] command, line_data
);
    `CLOCKED
    // Powers of two from two to 64 lines, as configuration space has them; they stand still meanwhile.
    `SYMBOLIC(3, payload)
    `SYMBOLIC(3, reads)
    wire [6:0] payload_lines = 7'd1 << payload, read_lines = 7'd1 << reads;
    `ASSUME(sizes, payload >= 1 && payload <= 6 && reads >= 1 && reads <= 6)
    wire command_ready, start_valid, out_valid, in_valid, atomic_valid, list_valid, lost_valid;
    wire [7:0] start_slot, start_status, slot, lost_status;
    wire [15:0] start_id, pid;
    wire [12:0] start_lines, lost_lines;
    wire [47:0] va;
    wire [63:0] host, mask, operand, expected;
    wire [6:0] lines;
    wire swap;
    pcie_plain$endpoint$commands u (
        .clock, .reset, .payload_lines, .read_lines, .busy(), .command_valid, .command_ready,
        .command_slot, .command_status, .command, .start_valid, .start_ready, .start_slot, .start_id,
        .start_lines, .start_status, .out_valid, .out_ready, .in_valid, .in_ready, .atomic_valid,
        .atomic_ready, .list_valid, .list_ready, .slot, .pid, .va, .host, .lines, .mask, .operand,
        .expected, .swap, .line, .line_status, .line_data, .lost_valid, .lost_ready, .lost_lines,
        .lost_status);

    // The command under way: its lines that no piece had yet, and where the next piece begins.
    reg [12:0] due = 0;
    reg [47:0] next;
    wire starts = start_valid && start_ready, atomic = atomic_valid && atomic_ready;
    wire piece = (out_valid && out_ready) || (in_valid && in_ready), lost = lost_valid && lost_ready;
    reg [511:0] current;
    always @(posedge clock) begin
        if (command_valid && command_ready) current <= command;
        due <= reset || atomic || lost ? 0 : starts ? start_lines : piece ? due - lines : due;
        next <= starts ? current[111:64] : piece ? next + {lines, 6'd0} : next;
    end
    wire offered = out_valid || in_valid;
    `PROVE(pieces_are_of_the_command, (!offered || (lines >= 1 && lines <= due && !(out_valid && in_valid)))
        && (!starts || due == 0))
    `PROVE(pieces_follow_one_another, !offered || va == next)
    wire [6:0] unit = out_valid ? payload_lines : read_lines;
    `PROVE(none_crosses_a_boundary, !offered || (host[12:6] & (unit - 7'd1)) + lines <= unit)
    `PROVE(lost_lines_are_told, !lost_valid || (lost_lines == due && due != 0))
    `PROVE(a_list_is_read_where_there_is_one, !list_valid || current[8])

    reg [3:0] was = 0;
    reg [341:0] had;
    reg [28:0] start_had, lost_had;
    wire [341:0] has = {slot, pid, va, host, lines, mask, operand, expected, swap};
    always @(posedge clock) begin
        was <= !started ? 0 : {start_valid && !start_ready, lost_valid && !lost_ready,
            out_valid && !out_ready || atomic_valid && !atomic_ready, in_valid && !in_ready};
        had <= has;
        start_had <= {start_slot, start_lines, start_status};
        lost_had <= {slot, lost_lines, lost_status};
    end
    `PROVE(outputs_stand, (!was[3] || (start_valid && {start_slot, start_lines, start_status} == start_had))
        && (!was[2] || (lost_valid && {slot, lost_lines, lost_status} == lost_had))
        && (!was[1] || ((out_valid || atomic_valid) && has == had)) && (!was[0] || (in_valid && has == had)))

    `REACH(cut_twice, in_valid && due != start_lines && lines < due)
    `REACH(list_lost, lost_valid && was[2])

    localparam IDLE = 0, CHECK = 1, START = 2, ASK = 3, AWAIT = 4, CUT = 5, EMIT = 6, ATOMIC = 7;
    wire [2:0] state = u.state$q;
    wire moves = current[7:0] == 1 || current[7:0] == 2, is_atomic = current[7:0] == 3 || current[7:0] == 4;
    wire moving = state == ASK || state == AWAIT || state == CUT || state == EMIT;
    `INVARIANT(command_is_kept, state == IDLE || u.current$q == current)
    `INVARIANT(nothing_due, moving || due == (state == ATOMIC))
    `INVARIANT(due_is_left, !moving || (moves && due != 0 && u.left$q == due && next == u.va_now$q))
    `INVARIANT(started_right, state != START || u.total$q == 0
        || (moves && u.total$q == current[63:48] && u.total$q <= 4096 && u.va_now$q == current[111:64])
        || (is_atomic && u.total$q == 1))
    `INVARIANT(atomic_is_one, state != ATOMIC || is_atomic)
    `INVARIANT(to_the_end_without_a_list, !(state == START && u.total$q != 0 && moves || moving) || current[8]
        || u.here$q == (moving ? due : u.total$q))
    `INVARIANT(lists_only, !(state == ASK || state == AWAIT) || current[8])
    `INVARIANT(failed_in_between, u.failed$q == 0 || state == CUT)
    `INVARIANT(piece_fits, state != EMIT || (lines >= 1 && lines <= due && lines <= u.here$q
        && (host[12:6] & ((current[7:0] == 1 ? payload_lines : read_lines) - 7'd1)) + lines
            <= (current[7:0] == 1 ? payload_lines : read_lines)))
endmodule
