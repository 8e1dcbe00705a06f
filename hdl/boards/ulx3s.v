// Radiona ULX3S: pads and clocks around the board's core. Nothing but Lattice primitives and wires.
//
// PLL: 25 MHz / PLL_IN * PLL_FB = the core's clock; the oscillator inside runs PLL_OUT times as fast
// (400 to 800 MHz). The soft core has a clock of its own, by another divider. The chip's clock is a quarter of a period later than the core's: commands have
// left their registers by then, and a read's words have arrived before the core's edge after next.
module ulx3s (
    input  wire        clk_25mhz,
    input  wire [1:0]  btn,         // 0: PWR, low when pressed. 1: FIRE 1
    output wire [7:0]  led,
    output wire        ftdi_rxd,    // to the FT231X
    input  wire        ftdi_txd,    // from it
    output wire        wifi_en,     // low: the ESP32 stays off
    input  wire        jtag_tck,    // the soft core's debug port, on header J1: GP0
    input  wire        jtag_tms,    // GP1
    input  wire        jtag_tdi,    // GP2
    output wire        jtag_tdo,    // GP3
    output wire        sdram_clk,
    output wire        sdram_cke,
    output wire        sdram_csn,
    output wire        sdram_rasn,
    output wire        sdram_casn,
    output wire        sdram_wen,
    output wire [1:0]  sdram_ba,
    output wire [12:0] sdram_a,
    output wire [1:0]  sdram_dqm,
    inout  wire [15:0] sdram_d
);
    // Of a net with several names the tools show the first in the alphabet: these, not one of a block.
    wire clock, clock_late, clock_core, locked;
    (* FREQUENCY_PIN_CLKI = "25" *)
    (* FREQUENCY_PIN_CLKOP = "@MHZ@" *)
    (* FREQUENCY_PIN_CLKOS = "@MHZ@" *)
    (* FREQUENCY_PIN_CLKOS2 = "@CORE_MHZ@" *)
    EHXPLLL #(
        .PLLRST_ENA("DISABLED"), .INTFB_WAKE("DISABLED"), .STDBY_ENABLE("DISABLED"),
        .DPHASE_SOURCE("DISABLED"), .OUTDIVIDER_MUXA("DIVA"), .OUTDIVIDER_MUXB("DIVB"),
        .OUTDIVIDER_MUXC("DIVC"), .OUTDIVIDER_MUXD("DIVD"),
        .CLKI_DIV(@PLL_IN@), .CLKFB_DIV(@PLL_FB@), .FEEDBK_PATH("CLKOP"),
        .CLKOP_ENABLE("ENABLED"), .CLKOP_DIV(@PLL_OUT@), .CLKOP_CPHASE(@PLL_OUT@ - 1),
        .CLKOP_FPHASE(0),
        // A quarter of a period later, in periods of the oscillator and eighths of them.
        .CLKOS_ENABLE("ENABLED"), .CLKOS_DIV(@PLL_OUT@),
        .CLKOS_CPHASE(@PLL_OUT@ - 1 + @PLL_OUT@ / 4), .CLKOS_FPHASE(@PLL_OUT@ % 4 * 2),
        .CLKOS2_ENABLE("ENABLED"), .CLKOS2_DIV(@PLL_CORE@), .CLKOS2_CPHASE(@PLL_CORE@ - 1),
        .CLKOS2_FPHASE(0)
    ) pll (
        .RST(1'b0), .STDBY(1'b0), .CLKI(clk_25mhz), .CLKOP(clock), .CLKOS(clock_late),
        .CLKOS2(clock_core),
        .CLKFB(clock), .CLKINTFB(), .PHASESEL0(1'b0), .PHASESEL1(1'b0), .PHASEDIR(1'b1),
        .PHASESTEP(1'b1), .PHASELOADREG(1'b1), .PLLWAKESYNC(1'b0), .ENCLKOP(1'b0),
        .LOCK(locked)
    );

    // Reset until the clock was good for 2^16 cycles, and while PWR is pressed.
    reg [16:0] good = 17'd0;
    reg [2:0] asked = 3'd0;
    always @(posedge clock) begin
        asked <= {asked[1:0], locked & btn[0]};
        if (!asked[2]) good <= 17'd0;
        else if (!good[16]) good <= good + 17'd1;
    end

    wire [15:0] dq_in, dq_out;
    wire dq_drive;
    genvar i;
    generate
        for (i = 0; i < 16; i = i + 1) begin : dq
            BB pad (.I(dq_out[i]), .T(~dq_drive), .O(dq_in[i]), .B(sdram_d[i]));
        end
    endgenerate
    ODDRX1F clock_out (.SCLK(clock_late), .RST(1'b0), .D0(1'b1), .D1(1'b0), .Q(sdram_clk));
    assign wifi_en = 1'b0;

    top core (
        .clock(clock), .reset(!good[16]), .core_clock(clock_core),
        .tck(jtag_tck), .tms(jtag_tms), .tdi(jtag_tdi), .tdo(jtag_tdo),
        .rx(ftdi_txd), .tx(ftdi_rxd), .thorough(btn[1]), .leds(led),
        .cke(sdram_cke), .cs_n(sdram_csn), .ras_n(sdram_rasn), .cas_n(sdram_casn), .we_n(sdram_wen),
        .ba(sdram_ba), .a(sdram_a), .dqm(sdram_dqm),
        .dq_out(dq_out), .dq_drive(dq_drive), .dq_in(dq_in)
    );
endmodule
