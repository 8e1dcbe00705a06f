// The SPI bridge, whatever the pins do, also against the rules of their timing: an access begins only for
// a request that came whole and intact, with a sequence number other than the last one's, after a Hello;
// it is what was asked, once, and stands until it is done. `miso` is zero until the answer.
//
// block: spi_bridge
// file: spi_bridge.v
// k: 1
// reach: 30
// deep: reach and mutants
//
// short: a bit a cycle, to come to the end of a request soon
//   in: spi_bridge
//   replace: sck_here$q && ~sck_before$q
//   with: sck_here$q
// short: headers and CRCs of four bits: operation and number
//   in: spi_bridge
//   replace: 32'hf
//   with: 32'h3
// short: and values of four bits
//   in: spi_bridge
//   replace: 32'h1f
//   with: 32'h3
// short: the operation stands in the first two of them
//   in: spi_bridge
//   replace: left$q >= 32'he
//   with: left$q >= 32'h2
// short: the number in the others
//   in: spi_bridge
//   replace: header$q >> 32'hc
//   with: header$q >> 32'h0
// short: the CRC is a sum
//   in: spi_bridge
//   replace: polynomial = 16'h1021
//   with: polynomial = 16'h1
// short: of four bits
//   in: spi_bridge
//   replace: (crc$q == 32'h0)
//   with: (crc$q[3:0] == 4'h0)
//
// mutant: access_stands, a frame is heard while an access is under way
//   in: spi_bridge
//   replace: hears = ~deaf$q && ~valid$q
//   with: hears = 1'b1
// mutant: valid_falls, done is not looked at
//   in: spi_bridge
//   replace: if (valid$q && m_done) begin
//   with: if (valid$q && m_done && ~whole$q && miso_next$q) begin
// mutant: only_for_an_intact_request, the CRC is not looked at
//   in: spi_bridge
//   replace: if ((crc$q[3:0] == 4'h0) && ~deaf$q) begin
//   with: if (~deaf$q) begin
// mutant: never_twice, a repetition is carried out
//   in: spi_bridge
//   replace: (((header$q >> 32'h0) & 2'h3) != last$q)
//   with: 1'b1
// mutant: not_before_hello, a bridge that was reset serves
//   in: spi_bridge
//   replace: if (is_access && open$q
//   with: if (is_access
// mutant: what_was_asked, a read is carried out as a write
//   in: spi_bridge
//   replace: write$d = is_write
//   with: write$d = 1'b1
// mutant: a_new_request_is_carried_out, only every other one is
//   in: spi_bridge
//   replace: & 2'h3) != last$q))
//   with: & 2'h3) == 2'h2))
// mutant: zero_until_the_answer, the status comes early
//   in: spi_bridge
//   replace: left$d = 32'h6;
//   with: left$d = 32'h2;
`include "common.svh"

module proof (
    input clock, reset, sck, cs_n, mosi, m_done, m_error, irq_monitor,
    input [31:0] m_rdata
);
    `CLOCKED

    wire miso, miso_drive, irq, m_valid, m_write;
    wire [11:0] m_addr;
    wire [31:0] m_wdata;
    spi_bridge u (
        .clock, .reset, .sck, .cs_n, .mosi, .miso, .miso_drive, .irq, .m_valid, .m_write, .m_addr,
        .m_wdata, .m_done, .m_rdata, .m_error, .irq_monitor);
    `ASSUME(done_answers, !m_done || m_valid)

    // What came over the pins, by an account of its own: the frame's bits as they are taken, two cycles
    // after they stood there.
    reg [2:0] sck_was = 0;
    reg [1:0] select_was = 0, mosi_was = 0;
    wire selected = select_was[1];
`ifdef SHORT
    wire taken = selected && sck_was[1];
    localparam HEAD = 4, DATA = 4, CHECK = 4;
    localparam [15:0] POLYNOMIAL = 16'h1;
    localparam [11:0] ADDRESS = 0;
`else
    wire taken = selected && sck_was[1] && !sck_was[2];
    localparam HEAD = 16, DATA = 32, CHECK = 16;
    localparam [15:0] POLYNOMIAL = 16'h1021;
    localparam [11:0] ADDRESS = 12'hFFF;
`endif
    // Turnaround and status: a bit less than two bytes; what is answered to a read; the last bit's edge.
    localparam READ = HEAD + CHECK, FRAME = READ + 15 + DATA + CHECK + 1;
    localparam [31:0] VALUE = ~(32'hFFFFFFFE << (DATA - 1));
    reg [6:0] count = 0;    // bits of the frame that were taken
    reg [1:0] op = 0;
    reg [13:0] head = 0;
    reg [31:0] data = 0;
    reg [15:0] crc = 16'hFFFF;
    wire [6:0] request = (op == 2) ? READ + DATA : READ;
    wire in_request = count < request || count < 2;
    wire flips = crc[CHECK-1] ^ mosi_was[1];
    wire good = crc[CHECK-1:0] == 0;
    wire [1:0] number = head >> (HEAD - 4);
    always @(posedge clock) begin
        sck_was <= {sck_was[1:0], sck};
        select_was <= reset ? 2'b0 : {select_was[0], !cs_n};
        mosi_was <= {mosi_was[0], mosi};
        if (taken) begin
            count <= (count == FRAME - 1) ? 0 : count + 1;
            if (count < 2) op <= {op[0], mosi_was[1]};
            if (count < HEAD) head <= {head[12:0], mosi_was[1]};
            if (count >= HEAD && count < HEAD + DATA && op == 2) data <= {data[30:0], mosi_was[1]};
            if (in_request) crc <= {crc[14:0], 1'b0} ^ (flips ? POLYNOMIAL : 16'h0);
            if (count == FRAME - 1) crc <= 16'hFFFF;
        end
        if (!selected) begin
            count <= 0;
            crc <= 16'hFFFF;
        end
    end

    // A request is whole; in the cycle after it, whether an access may begin, and which.
    reg whole = 0, ended = 0, intact = 0, undisturbed = 0, fresh = 0;
    reg heard = 1;          // no access was under way when the frame began
    reg open = 0;
    reg [1:0] asked = 0, last = 0;
    reg [44:0] payload;
    wire is_access = asked == 1 || asked == 2;
    reg was_valid = 0, was_done = 0;
    wire begins = m_valid && !was_valid;
    reg [44:0] stood;
    always @(posedge clock) begin
        whole <= started && taken && count == request - 1 && count >= 2;
        ended <= started && whole;
        {intact, undisturbed, asked} <= {good, heard, op};
        fresh <= number != last;
        payload <= {op == 2, head[11:0], data};
        if (count == 0) heard <= !m_valid;
        was_valid <= started && m_valid;
        was_done <= started && m_done;
        stood <= {m_write, m_addr, m_wdata};
        open <= started && (open || (whole && good && heard && op == 3));
        if (!started) last <= 0;
        else if (whole && good && heard && open && (op == 1 || op == 2)) last <= number;
    end
    reg was_open = 0;
    always @(posedge clock) was_open <= started && open;

    `PROVE(access_stands, !(was_valid && !was_done)
                          || (m_valid && stood == {m_write, m_addr, m_wdata}))
    `PROVE(valid_falls, !(was_done && m_valid))
    `PROVE(only_for_an_intact_request, !begins || (ended && intact && is_access))
    `PROVE(never_twice, !begins || !ended || fresh)
    `PROVE(not_before_hello, !begins || was_open)
    `PROVE(what_was_asked, !begins || !ended
        || (m_write == payload[44] && ((m_addr ^ payload[43:32]) & ADDRESS) == 0
            && (!m_write || ((m_wdata ^ payload[31:0]) & VALUE) == 0)))
    `PROVE(a_new_request_is_carried_out,
           !(ended && intact && is_access && undisturbed && was_open && fresh) || begins)
    `PROVE(zero_until_the_answer, !miso || (!in_request && count >= request + 8))

    `REACH(reads, m_done && !m_write)
    `REACH(answers, miso)

    // The bridge's place in the frame, and what it has heard so far.
    wire [2:0] part = u.part$q;
    wire [4:0] left = u.left$q;
    wire [6:0] answer = count - request;
    // An access that ends as the first bit comes: that one is not heard, and not needed.
    wire [13:0] so_far = (count < 15) ? ~(14'h3FFF << (count - 1)) : 14'h3FFF;
    wire [31:0] data_so_far = (count >= 48) ? 32'hFFFFFFFF : ~(32'hFFFFFFFF << (count - 16));
    `INVARIANT(pins, {u.sck_before$q, u.sck_here$q, u.sck_meta$q} == sck_was
                     && {u.chosen$q, u.chosen_meta$q} == select_was
                     && {u.mosi_here$q, u.mosi_meta$q} == mosi_was)
`ifndef SHORT
    `INVARIANT(place, count <= 95 && (
        count < 16 ? part == 0 && left == 15 - count :
        in_request ? (request - count > 16 ? part == 1 && left == 47 - count
                                           : part == 2 && left == request - 1 - count) :
        answer < 7 ? part == 3 && left == 6 - answer :
        answer < 15 ? part == 4 && left == 14 - answer :
        op == 2 ? (answer < 31 ? part == 6 && left == 30 - answer : part == 7)
                : (answer < 47 ? part == 5 && left == 46 - answer :
                   answer < 63 ? part == 6 && left == 62 - answer : part == 7)))
    `INVARIANT(same_crc, !(in_request || answer == 0) || u.crc$q == crc)
    `INVARIANT(same_operation, u.operation$q == op)
    `INVARIANT(same_header, !(heard && count != 0) || ((u.header$q ^ head) & so_far) == 0)
    `INVARIANT(same_data, !(heard && op == 2 && count >= 16) || ((u.data$q ^ data) & data_so_far) == 0)
    `INVARIANT(deaf, u.deaf$q == !heard)
    `INVARIANT(heard_alone, !(heard && count != 0 && in_request) || !m_valid)
    `INVARIANT(same_end, u.whole$q == whole && (!whole || (!in_request && answer == 0)))
    `INVARIANT(same_state, u.open$q == open && u.last$q == last)
    `INVARIANT(not_yet, !(whole && heard) || !m_valid)
`endif
endmodule
