// Between the issue stage and the DRAM port: a request goes on once, in its turn, unchanged, and stays
// until it is taken; but what the line order drops, in the cycle after it came in, never goes on.
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
// mutant: what_came_first_goes_first, what is dropped goes on if it was kept
//   in: top$sends
//   replace: head_valid$d = ~drop;
//   with: head_valid$d = 1'b1;
// mutant: one_a_cycle_passes, there is no room while the DRAM port is not ready
//   in: top$sends
//   replace: in_ready = room$q
//   with: in_ready = room$q && out_ready
// mutant: present_claims, the port is not claimed by what may be dropped
//   in: top$sends
//   replace: present = head_valid$q
//   with: present = head_valid$q && ~drop
// mutant: valid_stays_until_ready, a request stays for one cycle
//   in: top$sends
//   replace: head_valid$d = ~drops_head
//   with: head_valid$d = drop
`include "common.svh"

module proof (input clock, reset, in_valid, drop, out_ready, input [618:0] in_data);
    `CLOCKED

    wire in_ready, present, out_valid;
    wire [618:0] out_data;
    top$sends u (
        .clock, .reset, .in_valid, .in_ready, .in_data, .drop, .present, .out_valid, .out_ready,
        .out_data);

    // Any bit of the payload.
    `SYMBOLIC(10, bit_)
    `ASSUME(a_bit, bit_ < 619)
    wire in_bit = in_data[bit_], out_bit = out_data[bit_];
    wire comes = in_valid && in_ready, goes = out_valid && out_ready;
    reg came = 0;
    always @(posedge clock) came <= started && comes;
    `ASSUME(drops_what_came, !drop || came)

    // What came in, did not go out and was not dropped, oldest first. The last one may be dropped now.
    reg kept [0:1];
    reg [1:0] count = 0;
    wire [1:0] left = count - drop;
    // After a drop while the port was not ready, the next one is a cycle late.
    reg late = 0;
    always @(posedge clock) begin
        if (goes) kept[0] <= kept[1];
        if (comes) kept[left - goes] <= in_bit;
        count <= reset ? 0 : left + comes - goes;
        late <= started && comes && count == 1 && drop && !out_ready;
    end
    `PROVE(nothing_is_lost, count <= 2 && (count != 2 || !in_ready))
    `PROVE(what_came_first_goes_first, out_valid == (left != 0 && !late) && (!out_valid || out_bit == kept[0]))
    `PROVE(one_a_cycle_passes, count == 2 || late || in_ready)
    `PROVE(present_claims, present == (count != 0 && !late))

    reg stood = 0, was;
    always @(posedge clock) begin
        stood <= started && out_valid && !out_ready;
        was <= out_bit;
    end
    `PROVE(valid_stays_until_ready, !stood || (out_valid && out_bit == was))

    `REACH(full, count == 2 && out_bit)
    `REACH(follows, stood && goes && count == 2)
    `REACH(is_dropped, drop && count == 2 && goes)
    `REACH(comes_late, late && !drop)

    `INVARIANT(room, u.room$q == !u.kept_valid$q)
    `INVARIANT(stands, !stood || (count != 0 && kept[0] == was && !late && !(count == 1 && came)))
    `INVARIANT(holds, count == u.head_valid$q + u.kept_valid$q && late == (u.kept_valid$q && !u.head_valid$q)
        && (!late || came)
        && (count < 1 || (late ? u.kept$q[bit_] : u.head$q[bit_]) == kept[0])
        && (count < 2 || u.kept$q[bit_] == kept[1]))
endmodule
