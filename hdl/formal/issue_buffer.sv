// Between the issue stage and the DRAM port: a request goes on once, in its turn, unchanged, and stays
// until it is taken.
//
// block: top$sends
// k: 1
// reach: 8
//
// mutant: nothing_is_lost, there is always room
//   in: top$sends
//   replace: in_ready = room$q
//   with: in_ready = 1'b1
// mutant: what_came_first_goes_first, the next request passes the one that is kept
//   in: top$sends
//   replace: head$d = kept$q
//   with: head$d = in_valid ? in_data : kept$q
// mutant: one_a_cycle_passes, there is no room while the DRAM port is not ready
//   in: top$sends
//   replace: in_ready = room$q
//   with: in_ready = room$q && out_ready
// mutant: valid_stays_until_ready, the next request takes the place of a waiting one
//   in: top$sends
//   replace: if ((~head_valid$q) || out_ready) begin
//   with: if ((~head_valid$q) || out_ready || in_valid) begin
`define RELAY top$sends
`define WIDTH 619
`define DEPTH 2
`include "relay.svh"
    `INVARIANT(holds, count == u.head_valid$q + u.kept_valid$q && (u.head_valid$q || !u.kept_valid$q)
        && (count < 1 || u.head$q[bit_] == kept[0]) && (count < 2 || u.kept$q[bit_] == kept[1]))
endmodule
