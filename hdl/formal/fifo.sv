// The queue gives back what was pushed, in that order, nothing lost and nothing twice; its head
// stands still until it is taken.
//
// block: top$order$woken
// k: 1
// reach: 10
//
// mutant: head_is_the_oldest, the head is the entry behind it
//   in: top$order$woken
//   replace: ram$read_address = read_at$q
//   with: ram$read_address = read_at$q + 1
// mutant: nonempty_while_any_is_left, a push in the cycle of a pop is forgotten
//   in: top$order$woken
//   replace: if (pop && ~push) begin
//   with: if (pop) begin
// mutant: head_stays_until_taken, every cycle takes one
//   in: top$order$woken
//   replace: if (pop) begin
//   with: if (1'b1) begin
`include "common.svh"

module proof (input clock, reset, push, pop, input [6:0] push_data);
    `CLOCKED
    localparam DEPTH = 4;

    wire nonempty;
    wire [6:0] head;
    top$order$woken u (
        .clock, .reset, .push, .push_data, .pop, .head, .nonempty);

    // What the queue should hold, oldest first.
    reg [6:0] expected [0:DEPTH-1];
    reg [2:0] count = 0;
    integer i;
    always @(posedge clock) begin
        if (pop) for (i = 0; i < DEPTH - 1; i = i + 1) expected[i] <= expected[i + 1];
        if (push) expected[count - pop] <= push_data;
        count <= reset ? 0 : count + push - pop;
    end
    `ASSUME(room, !push || count != DEPTH || pop)
    `ASSUME(no_pop_of_nothing, !pop || nonempty)

    `PROVE(nonempty_while_any_is_left, nonempty == (count != 0))
    `PROVE(head_is_the_oldest, !nonempty || head == expected[0])

    reg offered = 0;
    reg [6:0] last_head;
    always @(posedge clock) begin
        offered <= started && nonempty && !pop;
        last_head <= head;
    end
    `PROVE(head_stays_until_taken, !offered || (nonempty && head == last_head))

    `REACH(full, count == DEPTH)
    `REACH(wrapped, nonempty && u.read_at$q == DEPTH + 1)

    `INVARIANT(counted, u.count$q == count && count <= DEPTH && u.filled$q == (count != 0))
    `INVARIANT(span, 8'(u.write_at$q - u.read_at$q) == count)
    `define AT(N) u.ram.mem[2'(u.read_at$q + N)]
    `INVARIANT(held_0, count <= 0 || `AT(0) == expected[0])
    `INVARIANT(held_1, count <= 1 || `AT(1) == expected[1])
    `INVARIANT(held_2, count <= 2 || `AT(2) == expected[2])
    `INVARIANT(held_3, count <= 3 || `AT(3) == expected[3])
    `INVARIANT(offered_is_there, !offered || (count != 0 && expected[0] == last_head))
endmodule
