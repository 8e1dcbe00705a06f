// No source of DRAM commands starves: after eight commands of the requests another source that waits gets
// one, and the background after 17 of others. (What waits within the background: background.sv.)
//
// block: top$dram
// k: 1
// reach: 20
//
// mutant: requests_step_back, the requests' patience is never counted
//   in: top$dram
//   replace: patience$d = patience$q + 32'h1
//   with: patience$d = patience$q
// mutant: background_gets_its_turn, walks always pass it
//   in: top$dram
//   replace: passed$d = 1'b1
//   with: passed$d = 1'b0
`include "common.svh"

module proof (input clock, reset, cmd_ready, issue_present, issue_valid, walk_valid, back_valid);
    `CLOCKED

    wire issue_ready, walk_ready, back_ready, cmd_valid;
    top$dram u (
        .clock, .reset, .issue_present, .issue_valid, .issue_ready, .walk_valid, .walk_ready, .back_valid,
        .back_ready, .cmd_valid, .cmd_ready);

    // Sources keep valid until ready; only a request that must wait vanishes (issue_buffer.sv).
    reg [2:0] waits = 0;
    wire [2:0] asks = {issue_valid, walk_valid, back_valid};
    always @(posedge clock) waits <= started ? asks & ~{issue_ready, walk_ready, back_ready} : 0;
    `ASSUME(sources_wait, (waits & ~asks) == 0)
    `ASSUME(valid_is_present, !issue_valid || issue_present)

    // Commands that a source saw pass.
    wire taken = cmd_valid && cmd_ready;
    wire others = walk_valid || back_valid;
    wire others_get = (walk_valid && walk_ready) || (back_valid && back_ready);
    reg [5:0] before_others = 0, before_back = 0;
    always @(posedge clock) begin
        before_others <= (reset || !others || others_get) ? 0 : before_others + taken;
        before_back <= (reset || !back_valid || back_ready) ? 0 : before_back + taken;
    end
    `PROVE(requests_step_back, before_others <= 8)
    `PROVE(background_gets_its_turn, before_back <= 17)

    `REACH(others_waited, before_others == 8 && walk_valid && walk_ready)
    `REACH(background_waited, before_back == 17 && walk_valid && back_ready)

    `INVARIANT(patience, before_others <= u.patience$q && u.patience$q <= 8)
    `INVARIANT(passed, before_back <= (u.passed$q ? 9 : 0) + u.patience$q)
endmodule
