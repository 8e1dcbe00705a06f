// A DRAM port narrower than a line: a write goes out in all of its beats, lowest first, each with its
// part of data and mask, a read in one; a beat stays until it is taken. A reply is handed on once,
// when it is whole, poisoned if any of its beats was.
//
// block: top$beats
// config: small
// k: 1
// reach: 12
//
// mutant: beats_are_the_lines_parts, the mask is that of the first beat
//   in: top$beats
//   replace: beat_mask = (cmd_mask >> bytes_sent) & beat_bytes
//   with: beat_mask = cmd_mask & beat_bytes
// mutant: all_beats_go_once, a write ends with the beat before its last
//   in: top$beats
//   replace: || (sent$q == last_beat)
//   with: || (sent$q == last_beat - 1)
// mutant: beat_stays_until_taken, beats do not wait for the DRAM
//   in: top$beats
//   replace: if (cmd_valid && beat_ready) begin
//   with: if (cmd_valid) begin
// mutant: reply_is_handed_on_once, a reply is handed on with its first beat
//   in: top$beats
//   replace: whole$d = reply_last
//   with: whole$d = 1'b1
// mutant: reply_is_whole, the poison of an early beat is forgotten
//   in: top$beats
//   replace: tainted$d = ~reply_last && (tainted$q || reply_poison)
//   with: tainted$d = 1'b0
// mutant: reply_stays_until_taken, a beat comes in while the last reply still stands
//   in: top$beats
//   replace: (~whole$q || resp_ready)
//   with: (1'b1)
`include "common.svh"

module proof (
    input clock, reset, cmd_valid, cmd_write, beat_ready, reply_valid, reply_last, reply_poison,
    input resp_ready,
    input [63:0] cmd_mask,
    input [511:0] cmd_data, reply_data,
    input [9:0] reply_tag
);
    `CLOCKED
    localparam BEATS = 4, BITS = 128;

    wire cmd_ready, beat_last, reply_ready, resp_valid, resp_poison;
    wire [63:0] beat_mask;
    wire [511:0] beat_data, resp_data;
    wire [9:0] resp_tag;
    top$beats u (
        .clock, .reset, .cmd_valid, .cmd_ready, .cmd_write, .cmd_mask, .cmd_data, .beat_ready,
        .beat_mask, .beat_data, .beat_last, .reply_valid, .reply_ready, .reply_tag, .reply_data,
        .reply_last, .reply_poison, .resp_valid, .resp_ready, .resp_tag, .resp_data, .resp_poison);

    // Any bit of a line, and the one of the mask that goes with it.
    `SYMBOLIC(9, bit_)
    wire [6:0] low = bit_[6:0];
    wire [1:0] beat_of_bit = bit_[8:7];

    // Out. The DRAM port's contract: a command stays until it is taken (dram_port.sv).
    wire [2:0] command = {cmd_write, cmd_mask[bit_[8:3]], cmd_data[bit_]};
    reg offered = 0;
    reg [2:0] was_command;
    reg [1:0] beat = 0; // beats of this command that were taken
    wire goes = cmd_valid && beat_ready;
    always @(posedge clock) begin
        offered <= started && cmd_valid && !cmd_ready;
        was_command <= command;
        beat <= reset ? 0 : goes && !cmd_ready ? beat + 1 : goes ? 0 : beat;
    end
    `ASSUME(command_stays, !offered || (cmd_valid && command == was_command))
    `PROVE(beats_are_the_lines_parts, !(cmd_valid && cmd_write && beat == beat_of_bit)
        || {beat_mask[low[6:3]], beat_data[low]} == command[1:0])
    `PROVE(all_beats_go_once, !cmd_valid || (beat_last == (!cmd_write || beat == BEATS - 1)
                                             && cmd_ready == (beat_ready && beat_last)))
    reg stood = 0;
    reg [2:0] was_beat;
    wire [2:0] on_pins = {beat_last, beat_mask[low[6:3]] & cmd_write, beat_data[low] & cmd_write};
    reg of_bit; // the beat is the one with our bit: of the others' data we know nothing
    always @(posedge clock) begin
        stood <= started && cmd_valid && !beat_ready;
        was_beat <= on_pins;
        of_bit <= beat == beat_of_bit;
    end
    `PROVE(beat_stays_until_taken, !stood || (cmd_valid && on_pins[2] == was_beat[2]
                                              && (!of_bit || on_pins == was_beat)))

    // In. The DRAM's contract: a line's beats come in order and do not mix with another's; a read has
    // all of them and a write one.
    wire comes = reply_valid && reply_ready;
    reg [1:0] come = 0;
    reg [9:0] tag;
    reg part, taints = 0;
    always @(posedge clock) begin
        come <= reset ? 0 : comes ? (reply_last ? 0 : come + 1) : come;
        taints <= reset ? 0 : comes ? !reply_last && (taints || reply_poison) : taints;
        if (comes) tag <= reply_tag;
        if (comes && come == beat_of_bit) part <= reply_data[low];
    end
    `ASSUME(beats_of_a_reply, !reply_valid || ((come == 0 || reply_tag == tag)
        && (come == BEATS - 1 ? reply_last : come == 0 || !reply_last)))
    // The whole reply: `read` if it had all of its beats.
    reg whole = 0, read, data, poison;
    reg [9:0] whole_tag;
    always @(posedge clock) begin
        whole <= started && ((comes && reply_last) || (whole && !resp_ready));
        if (comes && reply_last) begin
            read <= come == BEATS - 1;
            data <= come == beat_of_bit ? reply_data[low] : part;
            poison <= taints || reply_poison;
            whole_tag <= reply_tag;
        end
    end
    `PROVE(reply_is_handed_on_once, resp_valid == whole)
    `PROVE(reply_is_whole, !whole || ({resp_tag, resp_poison} == {whole_tag, poison}
                                      && (!read || resp_data[bit_] == data)))
    reg waits = 0;
    reg [11:0] was_reply;
    always @(posedge clock) begin
        waits <= started && resp_valid && !resp_ready;
        was_reply <= {resp_tag, resp_poison, resp_data[bit_]};
    end
    `PROVE(reply_stays_until_taken, !waits || (resp_valid && {resp_tag, resp_poison, resp_data[bit_]} == was_reply))

    `REACH(write_is_out, goes && cmd_ready && beat == BEATS - 1 && stood)
    `REACH(read_is_in, whole && read && data && poison && bit_ < 128)
    `REACH(one_after_the_other, whole && comes && resp_ready)

    `INVARIANT(beats, u.sent$q == beat && (beat == 0 || (cmd_valid && cmd_write && offered)))
    `INVARIANT(still, !stood || (offered && was_beat[2] == on_pins[2]))
    `INVARIANT(replies, u.whole$q == whole && u.tainted$q == taints && (!whole || come == 0)
        && (!whole || (u.tag$q == whole_tag && u.poison$q == poison && (!read || u.line$q[bit_] == data))))
    wire [9:0] at = bit_ + BITS * (BEATS - come);
    `INVARIANT(parts, !(come > beat_of_bit) || u.line$q[at[8:0]] == part)
    `INVARIANT(stands, !waits || (whole && {u.tag$q, u.poison$q, u.line$q[bit_]} == was_reply))
endmodule
