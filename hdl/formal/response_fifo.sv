// A port's answers: once up, valid stays with the same payload until ready. Each answer comes out
// once, in the order in which it was given, and none without being given.
//
// block: top$responses_0
// same: top$responses_1
// k: 1
// reach: 8
//
// mutant: answer_stays_until_ready, the head moves on without ready
//   in: top$responses_0
//   replace: next_at = read_at$q + 32'h1
//   with: next_at = read_at$q
// mutant: answer_is_the_oldest, the newest answer passes a waiting one
//   in: top$responses_0
//   replace: push && (~filled$q || (pop && one_left))
//   with: push
// mutant: valid_while_any_is_left, the last answer is dropped when the next one comes
//   in: top$responses_0
//   replace: filled$d = ~one_left
//   with: filled$d = ~filled$q
`include "common.svh"

module proof (
    input clock, reset, push, ready,
    input [6:0] push_slot, input [15:0] push_tag, input [2:0] push_status, input [511:0] push_data
);
    `CLOCKED
    localparam DEPTH = 2;

    wire valid;
    wire [15:0] tag;
    wire [2:0] status;
    wire [511:0] data;
    wire [6:0] slot;
    top$responses_0 u (
        .clock, .reset, .push, .push_slot, .push_tag, .push_status, .push_data, .valid, .ready,
        .tag, .status, .data, .slot);

    // Answers given and not yet taken, oldest first, with any bit of their data. There are no more
    // than the port has slots.
    `SYMBOLIC(9, bit_)
    wire [26:0] pushed = {push_data[bit_], push_slot, push_status, push_tag};
    wire [26:0] answer = {data[bit_], slot, status, tag};
    wire pop = valid && ready;
    reg [26:0] expected [0:DEPTH-1];
    reg [1:0] count = 0;
    always @(posedge clock) begin
        if (pop) expected[0] <= expected[1];
        if (push) expected[count - pop] <= pushed;
        count <= reset ? 0 : count + push - pop;
    end
    `ASSUME(a_slot_each, !push || count != DEPTH)

    `PROVE(valid_while_any_is_left, valid == (count != 0))
    `PROVE(answer_is_the_oldest, !valid || answer == expected[0])

    reg waits = 0;
    reg [26:0] waiting;
    always @(posedge clock) begin
        waits <= started && valid && !ready;
        waiting <= answer;
    end
    `PROVE(answer_stays_until_ready, !waits || (valid && answer == waiting))

    `REACH(full, count == DEPTH)
    `REACH(waited, waits && valid && ready && count == 1)
    `REACH(follows, waits && pop && push && count == 1)

    `INVARIANT(counted, u.count$q == count && count <= DEPTH && u.filled$q == (count != 0))
    `INVARIANT(span, 7'(u.write_at$q - u.read_at$q) == count)
    `define IN_RAM(AT) {u.lines.mem[AT][bit_], u.rest.mem[AT]}
    `INVARIANT(first, count < 1 || `IN_RAM(u.read_at$q[0]) == expected[0])
    `INVARIANT(second, count < 2 || `IN_RAM(!u.read_at$q[0]) == expected[1])
    `INVARIANT(fresh, !u.from_fresh$q || (count == 1
                                          && {u.fresh_line$q[bit_], u.fresh_rest$q} == expected[0]))
    `INVARIANT(read, count == 0 || u.from_fresh$q
                     || {u.lines$read_data[bit_], u.rest$read_data} == expected[0])
    `INVARIANT(waits_there, !waits || (count != 0 && waiting == expected[0]))
endmodule
