// A register on a channel: what comes in goes out once, in order; once up, valid stays with the same
// payload until ready; and one a cycle passes. `RELAY` is the block, `WIDTH` its payload; `DEPTH` is 1 if
// what comes in may go out in the same cycle, and 2 if not.
`include "common.svh"

module proof (input clock, reset, in_valid, out_ready, input [`WIDTH-1:0] in_data);
    `CLOCKED

    wire in_ready, out_valid;
    wire [`WIDTH-1:0] out_data;
    `RELAY u (.clock, .reset, .in_valid, .in_ready, .in_data, .out_valid, .out_ready, .out_data);

    // Any bit of the payload.
    `SYMBOLIC($clog2(`WIDTH), bit_)
    `ASSUME(a_bit, bit_ < `WIDTH)
    wire in_bit = in_data[bit_], out_bit = out_data[bit_];
    wire comes = in_valid && in_ready, goes = out_valid && out_ready;

    // What came in and did not go out, oldest first.
    reg kept [0:1];
    reg [1:0] count = 0;
    wire through = `DEPTH == 1 && count == 0;
    always @(posedge clock) begin
        if (goes && !through) kept[0] <= kept[1];
        if (comes && !(goes && through)) kept[count - goes] <= in_bit;
        count <= reset ? 0 : count + comes - goes;
    end
    `PROVE(nothing_is_lost, count <= `DEPTH && (count != `DEPTH || !in_ready))
    `PROVE(what_came_first_goes_first, out_valid == (count != 0 || (through && comes))
        && (!out_valid || out_bit == (count != 0 ? kept[0] : in_bit)))
    `PROVE(one_a_cycle_passes, count == `DEPTH || in_ready)

    reg stood = 0, was;
    always @(posedge clock) begin
        stood <= started && out_valid && !out_ready;
        was <= out_bit;
    end
    `PROVE(valid_stays_until_ready, !stood || (out_valid && out_bit == was))

    `REACH(full, count == `DEPTH && out_bit)
    `REACH(follows, stood && goes && count == `DEPTH)

    `INVARIANT(room, u.room$q == !u.kept_valid$q)
    `INVARIANT(stands, !stood || (count != 0 && kept[0] == was))
