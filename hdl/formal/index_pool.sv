// The pool never gives out a name that is out already, and none is lost: what is not out is there.
//
// block: top$walks$pool
// k: 1
// reach: 12
//
// mutant: name_is_not_out, a name is put back in the cycle in which it is taken
//   in: top$walks$pool
//   replace: names$push = filling || give
//   with: names$push = filling || give || take
// mutant: no_name_is_lost, a name that comes back before the pool is full is lost
//   in: top$walks$pool
//   replace: && ~give
//   with:
`include "common.svh"

module proof (input clock, reset, take, give, input [6:0] give_index);
    `CLOCKED
    localparam NAMES = 4;

    wire available;
    wire [6:0] index;
    top$walks$pool u (
        .clock, .reset, .available, .index, .take, .give, .give_index);

    // Names are given out when `available`, and come back once each.
    reg [NAMES-1:0] out = 0;
    always @(posedge clock) out <= reset ? 0 : (out | (take << index)) & ~(give << give_index);
    `ASSUME(takes_what_there_is, !take || available)
    `ASSUME(gives_what_is_out, !give || (give_index < NAMES && out[give_index]))

    `PROVE(name_is_not_out, !available || (index < NAMES && !out[index]))
    wire filled = u.fill$q == NAMES;
    `PROVE(no_name_is_lost, !filled || available || &out)

    `REACH(all_out, filled && &out)
    `REACH(back_before_full, give && !filled)
    `REACH(taken_again, filled && take && index == 1 && u.names.read_at$q > NAMES)

    // Each name is in the queue once, or out, or not yet filled in.
    wire [7:0] count = u.names.count$q;
    `define AT(N) u.names.ram.mem[2'(u.names.read_at$q + N)]
    `INVARIANT(queue, count <= NAMES && u.names.filled$q == (count != 0)
                      && 8'(u.names.write_at$q - u.names.read_at$q) == count)
    `INVARIANT(filling, u.fill$q <= NAMES && count + out[0] + out[1] + out[2] + out[3] == u.fill$q)
    `define NAME(N) \
        `INVARIANT(name_``N, count <= N || (`AT(N) < u.fill$q && !out[`AT(N)])) \
        `INVARIANT(once_``N, !(count > N && ((N > 0 && `AT(N) == `AT(0)) \
            || (N > 1 && `AT(N) == `AT(1)) || (N > 2 && `AT(N) == `AT(2)))))
    `NAME(0)
    `NAME(1)
    `NAME(2)
    `NAME(3)
    `INVARIANT(out_was_filled, !(out >> u.fill$q))
endmodule
