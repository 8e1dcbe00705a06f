// The register buses m and h: `done` is one pulse and comes only for a request that is held; it tells
// the truth about what happened; a side waits for at most one access of the other, and sees nothing
// of it. What reaches the registers is what was asked, once, and stands still.
//
// block: top$manage$registers
// k: 1
// reach: 20
//
// mutant: done_for_a_held_request, both sides are told that the monitor's access is done
//   in: top$manage$registers
//   replace: h_finished$d = host$q
//   with: h_finished$d = 1'b1
// mutant: done_is_one_pulse, done lasts for two cycles
//   in: top$manage$registers
//   replace: m_finished$d = 1'b0;
//   with: m_finished$d = (state$q == BusState$Done) && m_finished$q;
// mutant: silent_otherwise, the host sees what the monitor read
//   in: top$manage$registers
//   replace: if (h_finished$q) begin
//   with: if (h_finished$q || m_finished$q) begin
// mutant: error_if_nothing_was_touched, a refused write is not an error
//   in: top$manage$registers
//   replace: error$d = 1'b1
//   with: error$d = 1'b0
// mutant: read_gives_what_the_register_says, a busy register is not waited for
//   in: top$manage$registers
//   replace: if (~busy) begin
//   with: if (1'b1) begin
// mutant: turns_are_taken, the side that was served last is served again
//   in: top$manage$registers
//   replace: pick_host = h_valid && (~m_valid || ~host$q)
//   with: pick_host = h_valid || host$q
// mutant: one_strobe_an_access, the strobe lasts as long as the register is busy
//   in: top$manage$registers
//   replace: writing$d = 1'b0;
//   with: writing$d = writing$q && busy;
// mutant: strobe_is_what_was_asked, the host's write carries the monitor's data
//   in: top$manage$registers
//   replace: data$d = h_wdata
//   with: data$d = m_wdata
// mutant: bus_stands_still, the next request's address comes too early
//   in: top$manage$registers
//   replace: address$d = address$q;
//   with: address$d = (state$q == BusState$Collect) ? m_addr : address$q;
// mutant: writes_are_apart, a strobe is followed by another one
//   in: top$manage$registers
//   replace: state$d = BusState$Settle
//   with: state$d = BusState$Check
`include "common.svh"

module proof (
    input clock, reset, m_valid, m_write, h_valid, h_write, busy, refuse,
    input [11:0] m_addr, h_addr,
    input [31:0] m_wdata, h_wdata, read_data
);
    `CLOCKED

    wire m_done, m_error, h_done, h_error;
    wire [31:0] m_rdata, h_rdata;
    wire [45:0] bus;
    top$manage$registers u (
        .clock, .reset, .m_valid, .m_write, .m_addr, .m_wdata, .m_done, .m_rdata, .m_error,
        .h_valid, .h_write, .h_addr, .h_wdata, .h_done, .h_rdata, .h_error, .bus, .read_data,
        .busy, .refuse);

    // The masters' contract: valid and payload stand until done, then valid falls for a cycle.
    wire [44:0] m_asks = {m_write, m_addr, m_wdata}, h_asks = {h_write, h_addr, h_wdata};
    reg m_waits = 0, h_waits = 0, m_was_done = 0, h_was_done = 0;
    reg [44:0] m_asked, h_asked;
    always @(posedge clock) begin
        m_waits <= started && m_valid && !m_done;
        h_waits <= started && h_valid && !h_done;
        m_was_done <= started && m_done;
        h_was_done <= started && h_done;
        m_asked <= m_asks;
        h_asked <= h_asks;
    end
    `ASSUME(m_stands, !m_waits || (m_valid && m_asks == m_asked))
    `ASSUME(h_stands, !h_waits || (h_valid && h_asks == h_asked))
    `ASSUME(valid_falls, !(m_was_done && m_valid) && !(h_was_done && h_valid))

    `PROVE(done_for_a_held_request, !(m_done && !m_valid) && !(h_done && !h_valid))
    `PROVE(done_is_one_pulse, !(m_done && m_was_done) && !(h_done && h_was_done))
    `PROVE(silent_otherwise, (m_done || {m_error, m_rdata} == 0) && (h_done || {h_error, h_rdata} == 0))

    // The inner bus.
    wire write = bus[45], read = bus[44], host = bus[43];
    wire [31:0] data = bus[42:11];
    wire [9:0] address = bus[10:1];
    wire [42:0] still = bus[43:1];
    reg struck = 0; // the access at work reached a register
    reg [2:0] writes = 0;
    reg [42:0] still_1, still_2;
    reg was_busy;
    reg [31:0] was_data;
    always @(posedge clock) begin
        struck <= started && (read || write || (struck && !m_done && !h_done));
        writes <= started ? {writes[1:0], write} : 0;
        {still_2, still_1} <= {still_1, still};
        {was_busy, was_data} <= {busy, read_data};
    end
    `PROVE(error_if_nothing_was_touched,
           (!m_done || m_error == !struck) && (!h_done || h_error == !struck))
    `PROVE(read_gives_what_the_register_says,
        (!m_done || (!was_busy && m_rdata == (m_error || m_write ? 0 : was_data)))
        && (!h_done || (!was_busy && h_rdata == (h_error || h_write ? 0 : was_data))))
    `PROVE(one_strobe_an_access, !((read || write) && struck) && !(read && write))
    `PROVE(strobe_is_what_was_asked, !(read || write)
        || (host ? h_valid && {write, address, data} == {h_write, h_addr[11:2], h_wdata}
                 : m_valid && {write, address, data} == {m_write, m_addr[11:2], m_wdata}))
    `PROVE(bus_stands_still, (!(read || write) || (still == still_1 && still == still_2))
                             && (!struck || still == still_1))
    `PROVE(writes_are_apart, !write || writes == 0)

    // Accesses of the other side while one waits.
    reg [1:0] before_m = 0, before_h = 0;
    always @(posedge clock) begin
        before_m <= (started && m_valid && !m_done) ? before_m + h_done : 0;
        before_h <= (started && h_valid && !h_done) ? before_h + m_done : 0;
    end
    `PROVE(turns_are_taken, before_m <= 1 && before_h <= 1)

    `REACH(host_reads, h_done && h_rdata != 0)
    `REACH(monitor_is_refused, m_done && m_error)
    `REACH(monitor_goes_second, m_done && before_m == 1)

    wire [2:0] state = u.state$q;
    wire for_host = u.host$q, fails = u.error$q;
    `INVARIANT(states, state <= 6 && m_done == (state == 6 && !for_host)
                       && h_done == (state == 6 && for_host))
    `INVARIANT(strobe, (read || write) == (state == 3 && !fails) && struck == (state >= 4 && !fails)
                       && (state != 3 || fails || write == u.is_write$q))
    `INVARIANT(at_work, state == 0 || (for_host
        ? h_valid && h_asks == {u.is_write$q, u.address$q, u.data$q}
        : m_valid && m_asks == {u.is_write$q, u.address$q, u.data$q}))
    `INVARIANT(stood, (state < 2 || still == still_1) && (state != 3 || still == still_2))
    `INVARIANT(spaced, state <= 3 ? writes == 0 : state == 4 ? writes <= 1 : writes[0] == 0)
    `INVARIANT(ending, state != 6 || (!was_busy && writes[1:0] == 0
                                      && u.rdata$q == (fails || u.is_write$q ? 0 : was_data)))
    `INVARIANT(monitor_next, before_m == 0 || (before_m == 1 && for_host == (state == 0)))
    `INVARIANT(host_next, before_h == 0 || (before_h == 1 && for_host == (state != 0)))
endmodule
