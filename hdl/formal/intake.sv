// The request ports: one request a cycle is accepted, with what its port asked, into a slot of that
// port that is free; a port with a free slot waits for at most one request of the other.
//
// block: top$intake
// k: 1
// reach: 12
//
// mutant: one_transfer_a_cycle, both ports are told that they were served
//   in: top$intake
//   replace: p0_ready = go && can_0 && ~pick_1
//   with: p0_ready = go && can_0
// mutant: accepted_as_asked, the second port's request gets the first one's address
//   in: top$intake
//   replace: va = p1_va
//   with: va = p0_va
// mutant: slot_is_free, a slot stays in the pool when a write takes it
//   in: top$intake
//   replace: slots_0$take = go && can_0 && ~pick_1
//   with: slots_0$take = go && can_0 && ~pick_1 && ~op[0]
// mutant: none_while_it_must_stop, an invalidation does not hold requests back
//   in: top$intake
//   replace: && ~invalidating
//   with:
// mutant: turns_are_taken, the first port always goes first
//   in: top$intake
//   replace: turn$d = ~pick_1
//   with: turn$d = turn$q
`include "common.svh"

module proof (
    input clock, reset, enable, advance, invalidating, p0_valid, p1_valid, give_0, give_1,
    input [6:0] give_0_slot, give_1_slot,
    input [2:0] p0_op, p1_op,
    input [15:0] p0_tag, p1_tag, p0_pid, p1_pid,
    input [47:0] p0_va, p1_va
);
    `CLOCKED
    localparam SLOTS = 4;

    wire p0_ready, p1_ready, valid, port;
    wire [6:0] slot;
    wire [2:0] op;
    wire [15:0] tag, pid;
    wire [47:0] va;
    top$intake u (
        .clock, .reset, .enable, .advance, .invalidating, .p0_valid, .p0_ready, .p0_op, .p0_tag,
        .p0_pid, .p0_va, .p1_valid, .p1_ready, .p1_op, .p1_tag, .p1_pid, .p1_va, .give_0,
        .give_0_slot, .give_1, .give_1_slot, .valid, .port, .slot, .op, .tag, .pid, .va);

    // Slots in flight: 0 and 1 are the first port's. Each is given back once.
    reg [SLOTS-1:0] out = 0;
    wire [SLOTS-1:0] back = (give_0 << give_0_slot) | (give_1 << give_1_slot);
    always @(posedge clock) out <= reset ? 0 : (out | (valid << slot)) & ~back;
    `ASSUME(gives_of_port_0, !give_0 || (give_0_slot < 2 && out[give_0_slot[1:0]]))
    `ASSUME(gives_of_port_1, !give_1 || (give_1_slot[6:1] == 1 && out[give_1_slot[1:0]]))

    wire goes_0 = p0_valid && p0_ready, goes_1 = p1_valid && p1_ready;
    `PROVE(one_transfer_a_cycle, !(goes_0 && goes_1) && valid == (goes_0 || goes_1))
    `PROVE(accepted_as_asked, !valid || (port == goes_1 && {op, tag, pid, va}
        == (port ? {p1_op, p1_tag, p1_pid, p1_va} : {p0_op, p0_tag, p0_pid, p0_va})))
    `PROVE(slot_is_free, !valid || (slot < SLOTS && slot[1] == port && !out[slot[1:0]]))
    `PROVE(none_while_it_must_stop, !valid || (enable && advance && !invalidating))

    // Requests of the other port while one waits that has a free slot.
    reg [1:0] before_0 = 0, before_1 = 0;
    always @(posedge clock) begin
        before_0 <= (started && p0_valid && !p0_ready && u.slots_0.available) ? before_0 + goes_1 : 0;
        before_1 <= (started && p1_valid && !p1_ready && u.slots_1.available) ? before_1 + goes_0 : 0;
    end
    reg was_0 = 0, was_1 = 0;
    always @(posedge clock) {was_1, was_0} <= started ? {p1_valid && !p1_ready, p0_valid && !p0_ready} : 0;
    `ASSUME(valid_stands, (!was_0 || p0_valid) && (!was_1 || p1_valid))
    `PROVE(turns_are_taken, before_0 <= 1 && before_1 <= 1)

    `REACH(all_out, &out)
    `REACH(second_goes_first, goes_1 && p0_valid && before_1 == 1)
    `REACH(slot_again, goes_0 && u.slots_0.names.read_at$q == 2)

    `define POOL(P, OUT) \
        wire [7:0] count_``P = u.slots_``P.names.count$q, fill_``P = u.slots_``P.fill$q; \
        wire [6:0] at_0_``P = u.slots_``P.names.ram.mem[u.slots_``P.names.read_at$q[0]]; \
        wire [6:0] at_1_``P = u.slots_``P.names.ram.mem[!u.slots_``P.names.read_at$q[0]]; \
        `INVARIANT(queue_``P, count_``P <= 2 && u.slots_``P.names.filled$q == (count_``P != 0) \
            && 8'(u.slots_``P.names.write_at$q - u.slots_``P.names.read_at$q) == count_``P) \
        `INVARIANT(filling_``P, fill_``P <= 2 && count_``P + OUT[0] + OUT[1] == fill_``P) \
        `INVARIANT(first_``P, count_``P < 1 || (at_0_``P < fill_``P && !OUT[at_0_``P[0]])) \
        `INVARIANT(second_``P, count_``P < 2 \
            || (at_1_``P < fill_``P && !OUT[at_1_``P[0]] && at_0_``P != at_1_``P)) \
        `INVARIANT(out_was_filled_``P, !(OUT >> fill_``P))
    wire [1:0] out_0 = out[1:0], out_1 = out[3:2];
    `POOL(0, out_0)
    `POOL(1, out_1)
    `INVARIANT(turn_0, before_0 == 0 || (before_0 == 1 && !u.turn$q))
    `INVARIANT(turn_1, before_1 == 0 || (before_1 == 1 && u.turn$q))
endmodule
