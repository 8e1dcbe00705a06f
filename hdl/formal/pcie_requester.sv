// What the PCIe endpoint sends to the host: one stream out of four. Each thing that was taken stands at the
// stream in the next cycle, once; the beats of a TLP stay together; a read waits while the hard IP has no
// room for one, and everything else passes it meanwhile; entries of the completion ring go before messages,
// so an interrupt comes after what it tells of. A beat stays until it is taken.
//
// block: pcie_plain$endpoint$requester
// file: pcie_plain.v
// k: 1
// reach: 8
//
// mutant: beat_stands, the next one does not wait
//   in: pcie_plain$endpoint$requester
//   replace: free = (~valid$q) || rq_ready
//   with: free = 1'b1
// mutant: taken_is_sent, a read is taken and not sent
//   in: pcie_plain$endpoint$requester
//   replace: ask_ready = 1'b1;
//   with: ask_ready = 1'b1; valid$d = 1'b0; if (1'b0)
// mutant: taken_is_sent, a message has the data of an entry
//   in: pcie_plain$endpoint$requester
//   replace: dwords$d = 32'h1;
//   with: dwords$d = 32'h1; payload$d = entry_data;
// mutant: nothing_is_made_up, what was sent is sent again
//   in: pcie_plain$endpoint$requester
//   replace: valid$d = 1'b0;
//   with: valid$d = valid$q && ~last$q;
// mutant: one_is_taken, entry and data are told that they were
//   in: pcie_plain$endpoint$requester
//   replace: entry_ready = 1'b1;
//   with: entry_ready = 1'b1; data_ready = data_valid;
// mutant: tlp_stays_together, an entry goes between the beats of a page
//   in: pcie_plain$endpoint$requester
//   replace: if ((~within_tlp$q) && entry_valid)
//   with: if (entry_valid)
// mutant: read_waits_for_room, it does not
//   in: pcie_plain$endpoint$requester
//   replace: ask_valid && nonposted_ok
//   with: ask_valid
// mutant: others_pass_a_read_that_waits, data do not
//   in: pcie_plain$endpoint$requester
//   replace: else if (data_valid)
//   with: else if (data_valid && ~ask_valid)
// mutant: entry_before_message, the message first
//   in: pcie_plain$endpoint$requester
//   replace: if ((~within_tlp$q) && entry_valid)
//   with: if ((~within_tlp$q) && entry_valid && ~message_valid)
`include "common.svh"

module proof (
    input clock, reset, nonposted_ok, entry_valid, message_valid, ask_valid, data_valid, data_first,
    data_last, rq_ready, input [15:0] requester, input [127:0] entry_header, ask_header, data_header,
    input [511:0] entry_data, data, input [63:0] message_address, input [31:0] message_data
);
    `CLOCKED
    wire entry_ready, message_ready, ask_ready, data_ready, rq_valid, rq_first, rq_last;
    wire [127:0] rq_header;
    wire [511:0] rq_data;
    wire [4:0] rq_dwords;
    pcie_plain$endpoint$requester u (
        .clock, .reset, .requester, .nonposted_ok, .entry_valid, .entry_ready, .entry_header, .entry_data,
        .message_valid, .message_ready, .message_address, .message_data, .ask_valid, .ask_ready,
        .ask_header, .data_valid, .data_ready, .data_first, .data_last, .data_header, .data, .rq_valid,
        .rq_ready, .rq_first, .rq_last, .rq_header, .rq_data, .rq_dwords);

    wire entry = entry_valid && entry_ready, message = message_valid && message_ready;
    wire ask = ask_valid && ask_ready, beat = data_valid && data_ready;
    wire taken = entry || message || ask || beat;
    `PROVE(one_is_taken, entry + message + ask + beat <= 1)

    // Data come in whole TLPs.
    reg between = 0;
    always @(posedge clock) if (reset) between <= 0; else if (beat) between <= !data_last;
    `ASSUME(data_are_whole, !data_valid || data_first == !between)

    // What was taken in the last cycle.
    reg was = 0, was_message = 0;
    reg [646:0] had;
    wire [646:0] has = {rq_first, rq_last, rq_dwords, rq_header, rq_dwords == 0 ? 512'd0 : rq_data};
    always @(posedge clock) begin
        {was, was_message} <= started ? {taken, message} : 0;
        had <= entry ? {2'b11, 5'd4, entry_header, entry_data}
            : message ? {2'b11, 5'd1, 128'd0, 480'd0, message_data}
            : ask ? {2'b11, 5'd0, ask_header, 512'd0}
            : {data_first, data_last, 5'd16, data_header, data};
    end
    // A message's header: a memory write of one dword, all of its bytes.
    reg [63:0] address;
    always @(posedge clock) address <= message_address;
    wire long = address[63:32] != 0;
    wire message_header_right = rq_header[31:0] == (32'h40000001 | long << 29)
        && rq_header[39:32] == 8'h0f
        && (long ? rq_header[127:64] == {address[31:0], address[63:32]} : rq_header[95:64] == address[31:0]);
    `PROVE(taken_is_sent, !was || (rq_valid && (was_message
        ? message_header_right && {has[646:640], has[511:0]} == {had[646:640], had[511:0]} : has == had)))

    reg stood = 0;
    reg [646:0] standing;
    always @(posedge clock) begin
        stood <= started && rq_valid && !rq_ready;
        standing <= has;
    end
    `PROVE(beat_stands, !stood || (rq_valid && has == standing))
    `PROVE(nothing_is_made_up, !rq_valid || was || stood)

    reg midway = 0;
    always @(posedge clock) if (reset) midway <= 0; else if (rq_valid && rq_ready) midway <= !rq_last;
    `PROVE(tlp_stays_together, !rq_valid || rq_first == !midway)

    `PROVE(read_waits_for_room, !ask || nonposted_ok)
    wire free = !rq_valid || rq_ready;
    `PROVE(others_pass_a_read_that_waits, !(free && !nonposted_ok)
        || taken == (between ? data_valid : entry_valid || message_valid || data_valid))
    `PROVE(entry_before_message, !message || !entry_valid)

    `REACH(all_kinds, free && between && ask_valid && entry_valid && message_valid && stood)
    `REACH(passes, beat && ask_valid && !nonposted_ok && !between)

    `INVARIANT(same_place, (rq_valid ? !rq_last : midway) == between)
    `INVARIANT(within_one, u.within_tlp$q == between)
endmodule
