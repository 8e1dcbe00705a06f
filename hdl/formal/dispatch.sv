// Stage 3: only a TLB hit that its permissions allow goes to the DRAM, to the line of its frame; each
// request that leaves gets one outcome, and one that gets none stays.
//
// block: top$dispatch
// k: 1
// reach: 2
//
// mutant: only_allowed_hits_go, what is not allowed is no error after a walk
//   in: top$dispatch
//   replace: ~joins && allowed
//   with: ~joins && (allowed || found)
// mutant: goes_to_its_line, a request of a 2 MiB page stays in its first 4 KiB
//   in: top$dispatch
//   replace: if (va[32'h2f]) begin
//   with: if (1'b0) begin
// mutant: one_outcome_each, a request that finds no room for a walk leaves
//   in: top$dispatch
//   replace: || (misses && ~room)
//   with:
// mutant: errors_are_what_they_are, a bad request is one without permission
//   in: top$dispatch
//   replace: answer_status = bad_request
//   with: answer_status = no_permission
`include "common.svh"

module proof (
    input clock, reset, good, bad, hit, allowed, found, found_done, found_waiting,
    input found_stale, found_leaving, room, result, issue_ready, answer_ready,
    input [2:0] op,
    input [47:0] va,
    input [27:0] frame
);
    `CLOCKED
    localparam WRITE = 1, NO_PERMISSION = 2, BAD_REQUEST = 4;

    wire advance, issue, issue_write, allocate, attach, answer;
    wire [33:0] issue_line;
    wire [2:0] answer_status;
    top$dispatch u (
        .good, .bad, .op, .va, .hit, .frame, .allowed, .found, .found_done,
        .found_waiting, .found_stale, .found_leaving, .room, .result, .issue_ready, .answer_ready, .advance,
        .issue, .issue_write, .issue_line, .allocate, .attach, .answer, .answer_status);

    `ASSUME(one_or_the_other, !(good && bad))
    wire valid = good || bad;
    `PROVE(only_allowed_hits_go, !issue || (good && hit && allowed && issue_write == (op == WRITE)))
    `PROVE(goes_to_its_line, !issue || (va[47] ? frame[8:0] != 0 || issue_line == {frame[27:9], va[20:6]}
                                               : issue_line == {frame, va[11:6]}))
    wire [3:0] outcomes = {issue, allocate, attach, answer};
    `PROVE(one_outcome_each, (outcomes & (outcomes - 1'b1)) == 0
                             && (valid && advance) == (outcomes != 0) && (advance || valid))
    `PROVE(errors_are_what_they_are, !answer || (answer_status == BAD_REQUEST ? bad
        : answer_status == NO_PERMISSION && !bad && hit && !allowed))

    `REACH(atomic_goes, issue && op == 2 && va[47])
    `REACH(joins, attach && hit)
endmodule
