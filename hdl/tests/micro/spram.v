// The iCE40UP5K's single-port RAM, 16 Ki words of 16 bits, as Lattice's technology note TN1314 tells it:
// a mask bit for each four bits, nothing to rely on at the output after a write, or while it was not
// selected.
module SB_SPRAM256KA(
    input [13:0] ADDRESS, input [15:0] DATAIN, input [3:0] MASKWREN, input WREN, CHIPSELECT, CLOCK,
    input STANDBY, SLEEP, POWEROFF, output reg [15:0] DATAOUT
);
    reg [15:0] mem [0:16383];
    integer i;
    always @(posedge CLOCK) begin
        DATAOUT <= $random;
        if (CHIPSELECT && !STANDBY && !SLEEP && POWEROFF) begin
            if (WREN) begin
                for (i = 0; i < 4; i = i + 1)
                    if (MASKWREN[i]) mem[ADDRESS][4 * i +: 4] <= DATAIN[4 * i +: 4];
            end else DATAOUT <= mem[ADDRESS];
        end
    end
endmodule
