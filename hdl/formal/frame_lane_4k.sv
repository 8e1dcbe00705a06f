// No 4 KiB frame is granted twice, none that was not zeroed, none is forgotten, and the zeroing
// engine writes no frame but those that were pushed to it.
//
// block: top$manage$frames$lane_4k
// k: 1
// reach: 16
//
// short: frames of two lines
//   in: top$manage$frames$lane_4k$zeroer
//   replace: last_line = 15'b111111
//   with: last_line = 15'b1
// mutant: granted_once_per_push, a frame of the list is fetched twice
//   in: top$manage$frames$lane_4k$list
//   replace: if (fetch) begin
//   with: if (fetch && head$q != 0) begin
// mutant: granted_once_per_push, a frame is offered again before it has left the list
//   in: top$manage$frames$lane_4k
//   replace: && ~popping$q && ~taken$q
//   with: && ~popping$q
// mutant: granted_only_when_zeroed, a frame is ready with its last command, not its last answer
//   in: top$manage$frames$lane_4k$zeroer$slots$0
//   replace: && ~|unanswered$q
//   with:
// mutant: writes_only_what_it_has, one frame too many is written of a run
//   in: top$manage$frames$lane_4k$zeroer
//   replace: if (left$q == 32'h1) begin
//   with: if (left$q == 32'h0) begin
// mutant: none_is_forgotten, frames being zeroed do not count as coming
//   in: top$manage$frames$lane_4k
//   replace: owed$q > 32'h1
//   with: owed$q > 32'h2
// mutant: command_stays_until_ready, the line moves on without ready
//   in: top$manage$frames$lane_4k$zeroer
//   replace: if (issue) begin
//   with: if (writing$q) begin
`define LANE top$manage$frames$lane_4k
`define STEP 1
`ifdef SHORT
`define LINES 2
`else
`define LINES 64
`endif
`define SLOTS 4
`define FOUR_SLOTS
`define DEPTH 4
`include "frame_lane.svh"
