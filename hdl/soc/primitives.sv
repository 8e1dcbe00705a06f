// Stand-ins for the technology wrappers that Ibex expects and its package does not carry.

module prim_buf #(
    parameter int Width = 1
) (
    input [Width-1:0] in_i,
    output logic [Width-1:0] out_o
);
  assign out_o = in_i;
endmodule

module prim_flop #(
    parameter int Width = 1,
    parameter logic [Width-1:0] ResetValue = 0
) (
    input clk_i,
    input rst_ni,
    input [Width-1:0] d_i,
    output logic [Width-1:0] q_o
);
  always_ff @(posedge clk_i or negedge rst_ni)
    if (!rst_ni) q_o <= ResetValue;
    else q_o <= d_i;
endmodule

module prim_clock_inv #(
    parameter bit HasScanMode = 1
) (
    input clk_i,
    input scanmode_i,
    output logic clk_no
);
  assign clk_no = ~clk_i;
endmodule

// No gate: the clock of a sleeping core is stopped outside, if at all.
module prim_clock_gating (
    input clk_i,
    input en_i,
    input test_en_i,
    output logic clk_o
);
  assign clk_o = clk_i;
endmodule
