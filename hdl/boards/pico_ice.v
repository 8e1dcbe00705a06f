// tinyVision.ai pico-ice: memory, reset and pads around the board's core.
//
// The RP2040 drives all pins but MISO and the interrupt, and gives the clock. The FPGA's flip-flops come
// up zero after configuration: `waited` counts a reset that outlasts the time in which the block RAMs
// cannot be read yet (3 us).
module pico_ice (
    input  wire clk,
    input  wire spi_sck,
    input  wire spi_cs_n,
    input  wire spi_mosi,
    output wire spi_miso,
    output wire irq
);
    reg [8:0] waited = 9'd0;
    always @(posedge clk) if (!waited[8]) waited <= waited + 9'd1;

    wire        valid, write;
    wire [15:0] address, wdata;
    wire [1:0]  mask;

    // Four blocks of 16 Ki words. What was read stands at the block of the last access.
    wire [15:0] rdata [0:3];
    reg  [1:0]  last = 2'd0;
    always @(posedge clk) if (valid) last <= address[15:14];
    genvar i;
    generate
        for (i = 0; i < 4; i = i + 1) begin : memory
            SB_SPRAM256KA block (
                .CLOCK(clk), .ADDRESS(address[13:0]), .DATAIN(wdata),
                .MASKWREN({mask[1], mask[1], mask[0], mask[0]}),
                .WREN(write), .CHIPSELECT(valid && address[15:14] == i),
                .STANDBY(1'b0), .SLEEP(1'b0), .POWEROFF(1'b1), .DATAOUT(rdata[i])
            );
        end
    endgenerate

    core core (
        .clock(clk), .reset(!waited[8]),
        .sck(spi_sck), .cs_n(spi_cs_n), .mosi(spi_mosi), .miso(spi_miso), .irq(irq),
        .mem_valid(valid), .mem_write(write), .mem_address(address), .mem_mask(mask),
        .mem_wdata(wdata), .mem_rdata(rdata[last])
    );
endmodule
