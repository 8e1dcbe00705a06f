// Between the DRAM port and the pins: a command that the DRAM does not take at once is kept, and stays
// until it is taken; none is lost or doubled.
//
// block: top$commands
// k: 1
// reach: 8
//
// mutant: nothing_is_lost, there is always room
//   in: top$commands
//   replace: in_ready = room$q
//   with: in_ready = 1'b1
// mutant: what_came_first_goes_first, the next command passes the one that is kept
//   in: top$commands
//   replace: if (kept_valid$q) begin
//   with: if (kept_valid$q && ~in_valid) begin
// mutant: one_a_cycle_passes, there is no room while the DRAM is not ready
//   in: top$commands
//   replace: in_ready = room$q
//   with: in_ready = room$q && out_ready
// mutant: valid_stays_until_ready, a command is kept only once it was kept
//   in: top$commands
//   replace: kept_valid$d = out_valid && ~out_ready
//   with: kept_valid$d = out_valid && ~out_ready && in_valid
`define RELAY top$commands
`define WIDTH 621
`define DEPTH 1
`include "relay.svh"
    `INVARIANT(holds, count == u.kept_valid$q && (count == 0 || u.kept$q[bit_] == kept[0]))
endmodule
