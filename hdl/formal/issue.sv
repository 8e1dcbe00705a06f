// The issue stage: a request that it shows stays until it is taken. Every request comes from one of four sources, passes the line
// order once unless that woke it, and carries the line, the mask and the data it came with.
//
// block: top$issue
// k: 1
// reach: 10
//
// mutant: request_stays_until_taken, a woken request takes the place of a waiting one
//   in: top$issue
//   replace: free = ~s_valid$q || ready
//   with: free = ~s_valid$q || ready || wake_valid
// mutant: one_source_a_cycle, a woken request and an atomic's write are both taken
//   in: top$issue
//   replace: wake_take = wake_valid && free && ~amo_valid
//   with: wake_take = wake_valid && free
// mutant: nothing_is_lost, an atomic's write is taken while the stage is full
//   in: top$issue
//   replace: amo_take = amo_valid && free
//   with: amo_take = amo_valid
// mutant: passes_once, a request that must wait passes in each cycle
//   in: top$issue
//   replace: pass = s_valid$q && ready && ~s_ordered$q
//   with: pass = s_valid$q && ~s_ordered$q
// mutant: carries_its_line, a woken request gets the line of a write behind it
//   in: top$issue
//   replace: if (wake_valid) begin
//   with: if (wake_valid && ~hit_write) begin
// mutant: carries_its_data, the data of a waiting request give way to those of the next one
//   in: top$issue
//   replace: store$read_enable = free
//   with: store$read_enable = 1'b1
`include "common.svh"

module proof (
    input clock, reset, accept, amo_valid, wake_valid, look_write, replay_active, replay_issue,
    input replay_write, hit_issue, hit_write, ready,
    input [6:0] accept_slot, amo_slot, wake_slot, replay_slot, hit_slot,
    input [2:0] amo_word,
    input [33:0] look_line, replay_line, hit_line,
    input [63:0] accept_mask, amo_data,
    input [511:0] accept_data
);
    `CLOCKED
    localparam SLOTS = 4;

    wire amo_take, wake_take, replay_ready, hit_ready, write, pass, valid, amo;
    wire [6:0] look_slot, slot;
    wire [33:0] line;
    wire [63:0] mask;
    wire [511:0] data;
    top$issue u (
        .clock, .reset, .accept, .accept_slot, .accept_mask, .accept_data, .amo_valid, .amo_slot,
        .amo_word, .amo_data, .amo_take, .wake_valid, .wake_slot, .wake_take, .look_slot,
        .look_line, .look_write, .replay_active, .replay_ready, .replay_issue, .replay_slot,
        .replay_write, .replay_line, .hit_ready, .hit_issue, .hit_slot, .hit_write,
        .hit_line, .slot, .line, .write, .pass, .valid, .amo, .mask, .data, .ready);

    // The sources' contract: replay and hits go when they are told that they may.
    `ASSUME(replay_waits, !replay_issue || (replay_active && replay_ready))
    `ASSUME(hit_waits, !hit_issue || hit_ready)
    reg stood = 0;
    always @(posedge clock) stood <= started && valid && !ready;

    `SYMBOLIC(9, bit_)
    wire mask_bit = mask[bit_[5:0]], data_bit = data[bit_];
    wire [44:0] request = {write, amo, slot, line, mask_bit, data_bit};
    reg [44:0] was;
    always @(posedge clock) was <= request;
    `PROVE(request_stays_until_taken, !stood || (valid && request == was))

    // Who came in with the last cycle, and with what.
    wire [3:0] comes = {amo_take, wake_take, replay_issue, hit_issue};
    wire [6:0] slot_in = amo_take ? amo_slot : wake_take ? wake_slot
                       : replay_issue ? replay_slot : hit_slot;
    wire [34:0] line_in = amo_take ? {1'b1, look_line} : wake_take ? {look_write, look_line}
                        : replay_issue ? {replay_write, replay_line} : {hit_write, hit_line};
    reg came = 0, came_ordered, came_amo;
    reg [6:0] came_slot;
    reg [34:0] came_line;
    reg came_data, came_mask;
    always @(posedge clock) begin
        came <= started && comes != 0;
        if (comes != 0) begin
            came_ordered <= amo_take || wake_take;
            came_amo <= amo_take;
            came_slot <= slot_in;
            came_line <= line_in;
            came_data <= amo_data[bit_[5:0]];
            came_mask <= bit_[5:3] == amo_word;
        end
    end
    `PROVE(one_source_a_cycle, (comes & (comes - 1'b1)) == 0)
    `PROVE(nothing_is_lost, !(comes != 0 && valid && !ready) && valid == (came || stood))
    `PROVE(passes_once, pass == (valid && ready && !came_ordered))
    `PROVE(carries_its_line, !valid || (slot == came_slot && {write, line} == came_line
                                          && (!(amo_take || wake_take) || look_slot == slot_in)))

    // Any slot's data, from when it was accepted. Nothing is accepted into a slot that is here.
    `SYMBOLIC(7, any_slot)
    `ASSUME(a_slot, any_slot < SLOTS)
    `ASSUME(slots_there_are, slot_in < SLOTS)
    `ASSUME(accepts_into_other_slots, !accept || ((!valid || accept_slot != slot)
                                                  && (comes == 0 || accept_slot != slot_in)
                                                  && accept_slot < SLOTS))
    reg kept = 0, kept_mask, kept_data;
    always @(posedge clock) if (accept && accept_slot == any_slot) begin
        kept <= started;
        kept_mask <= accept_mask[bit_[5:0]];
        kept_data <= accept_data[bit_];
    end
    `PROVE(carries_its_data, !valid || (amo ? data_bit == came_data
        && mask_bit == came_mask : !(kept && slot == any_slot) || {mask_bit, data_bit} == {kept_mask, kept_data}))

    `REACH(waited_and_went, stood && valid && ready && !came_ordered)
    `REACH(data_after_a_wait, stood && kept && slot == any_slot && !amo && data_bit && ready)
    `REACH(atomic, valid && amo && data_bit && mask_bit && ready && !mask[0])

    `INVARIANT(held, valid == (came || stood) && (!valid
        || (u.s_ordered$q == came_ordered && u.s_amo$q == came_amo && u.s_slot$q == came_slot
            && {u.s_write$q, u.s_line$q} == came_line && came_slot < SLOTS)))
    `INVARIANT(atomics, !(valid && came_amo) || (u.s_amo_data$q[bit_[5:0]] == came_data
                                                   && u.s_amo_mask$q[bit_[5:0]] == came_mask))
    `INVARIANT(stored, !kept || {u.masks.mem[any_slot[1:0]][bit_[5:0]], u.store.mem[any_slot[1:0]][bit_]}
                                == {kept_mask, kept_data})
    `INVARIANT(read_again, !valid
        || {u.masks$read_data[bit_[5:0]], u.store$read_data[bit_]}
            == {u.masks.mem[slot[1:0]][bit_[5:0]], u.store.mem[slot[1:0]][bit_]})
    `INVARIANT(read, !(valid && kept && slot == any_slot)
        || {u.masks$read_data[bit_[5:0]], u.store$read_data[bit_]} == {kept_mask, kept_data})
    `INVARIANT(stands, !stood || request == was)
endmodule
