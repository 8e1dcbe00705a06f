// No TLB hit across pids, or after an invalidation: for any page of any process, stage 3 says `hit`
// only if exactly that page was filled since it was last cleared, and gives the filled translation: the
// frame, and whether it allows what the request does.
//
// block: top$tlb
// k: 1
// reach: 10
//
// mutant: no_hit_unless_filled, one way does not compare the pid
//   in: top$tlb$ways$1
//   replace: (entry$q[(32'h40)+:(16)] == pid)
//   with: 1'b1
// mutant: no_hit_unless_filled, what is written as it is read is not told apart
//   in: top$tlb$ways$0
//   replace: gone = overtaken$q || (wrote$q
//   with: gone = overtaken$q || (1'b0
// mutant: no_hit_unless_filled, an entry that stands in stage 1 forgets that it was written
//   in: top$tlb$ways$0
//   replace: overtaken$d = gone && ~advance
//   with: overtaken$d = 1'b0
// mutant: no_hit_unless_filled, an invalidation clears one way only
//   in: top$tlb
//   replace: ways$1$write_enable = ways$1$hit
//   with: ways$1$write_enable = 1'b0
// mutant: hit_gives_what_was_filled, the frame is that of the lookup behind
//   in: top$tlb$ways$0
//   replace: frame_3$d = entry$q[
//   with: frame_3$d = ram$read_data[
// mutant: hit_gives_what_was_filled, an atomic needs no permission to read
//   in: top$tlb
//   replace: (s2_op$q != 32'h1)
//   with: (s2_op$q == 32'h0)
// mutant: bad_is_what_cannot_be_served, an atomic of any 8 bytes is taken
//   in: top$tlb
//   replace: s3_good$d = s2_valid$q && ~bad_2
//   with: s3_good$d = s2_valid$q && (~bad_2 || s2_op$q[1])
// mutant: clearing_is_no_request, a request is looked up along with an invalidation
//   in: top$tlb
//   replace: s1_valid$d = valid_0 && ~invalidate_0
//   with: s1_valid$d = valid_0
`include "common.svh"

module proof (
    input clock, reset, advance, valid_0, invalidate_0, any_pid_0, any_key_0, fill,
    input [6:0] slot_0,
    input [2:0] op_0,
    input [15:0] pid_0, fill_pid,
    input [47:0] va_0,
    input [8:0] sweep_set_0,
    input [35:0] fill_key,
    input [27:0] fill_frame,
    input fill_read, fill_write
);
    `CLOCKED
    localparam SETS = 2, WAYS = 2;

    localparam READ = 0, WRITE = 1;
    wire valid_3, good_3, bad_3, hit_3, allowed_3, invalidate_3;
    wire [2:0] op_3;
    wire [47:0] va_3;
    wire [27:0] frame_3;
    top$tlb u (
        .clock, .reset, .advance, .valid_0, .slot_0, .op_0, .pid_0, .va_0, .invalidate_0,
        .any_pid_0, .any_key_0, .sweep_set_0, .valid_3, .invalidate_3, .good_3, .bad_3, .op_3, .va_3, .hit_3, .frame_3, .allowed_3,
        .fill, .fill_pid, .fill_key, .fill_frame, .fill_read, .fill_write);

    // Any page of any process, and any translation.
    `SYMBOLIC(16, pid)
    `SYMBOLIC(36, key)
    `SYMBOLIC(30, translation)
    `ASSUME(key_of_a_2m_page, !key[35] || key[8:0] == 0)
    wire [8:0] set = ((key[35] ? key[17:9] : key[8:0]) ^ pid[8:0]) & (SETS - 1);

    function automatic [35:0] key_of(input [47:0] va);
        key_of = va[47] ? {va[47:21], 9'b0} : va[47:12];
    endfunction

    // The contract: `any_key_0` only with an invalidation, `any_pid_0` only with that, and no fill while an invalidation is in stage 3.
    `ASSUME(sweep_clears, !any_key_0 || invalidate_0)
    `ASSUME(all_pids_by_sweep, !any_pid_0 || any_key_0)
    `ASSUME(no_fill_while_clearing, !(fill && invalidate_3))

    // The pipeline as its user sees it: where this page is looked up or cleared.
    wire looks_0 = valid_0 && !invalidate_0 && pid_0 == pid && key_of(va_0) == key;
    wire clears_0 = invalidate_0 && (any_pid_0 || pid_0 == pid)
        && (any_key_0 ? (sweep_set_0 & (SETS - 1)) == set : key_of(va_0) == key);
    reg looks_1 = 0, looks_2 = 0, looks_3 = 0, clears_1 = 0, clears_2 = 0, clears_3 = 0;
    always @(posedge clock)
        if (reset) {looks_1, looks_2, looks_3, clears_1, clears_2, clears_3} <= 0;
        else if (advance)
            {looks_1, looks_2, looks_3, clears_1, clears_2, clears_3} <=
                {looks_0, looks_1, looks_2, clears_0, clears_1, clears_2};

    // `filled`: the page was filled since it was cleared (or never cleared: a RAM can hold anything
    // at first). A fill that comes while an invalidation is on its way survives it (`late`).
    wire filling = fill && fill_pid == pid && fill_key == key;
    reg filled = 1, late_1 = 0, late_2 = 0, late_3 = 0;
    // `same`: with this translation each time.
    wire [29:0] fill_translation = {fill_write, fill_read, fill_frame & 28'h3ff};
    reg same = 0;
    always @(posedge clock) begin
        if (filling) begin
            filled <= 1;
            same <= same && fill_translation == translation;
        end else if (clears_3 && !late_3) begin
            filled <= 0;
            same <= 1;
        end
        late_1 <= (!advance && late_1) || filling;
        late_2 <= (advance ? late_1 : late_2) || filling;
        late_3 <= (advance ? late_2 : late_3) || filling;
    end

    // What stood at the time of a lookup: while it is in stage 0.
    reg filled_1 = 1, filled_2 = 1, filled_3 = 1, same_1 = 0, same_2 = 0, same_3 = 0;
    always @(posedge clock) begin
        if (advance) {filled_1, filled_2, filled_3, same_1, same_2, same_3}
            <= {filled, filled_1, filled_2, same, same_1, same_2};
    end

    wire allows = (op_3 == WRITE || translation[28]) && (op_3 == READ || translation[29]);
    `PROVE(no_hit_unless_filled, !(looks_3 && hit_3 && !filled_3))
    `PROVE(clearing_is_no_request, !(valid_3 && invalidate_3))
    `INVARIANT(no_request_1, !(u.s1_valid$q && u.s1_invalidate$q))
    `INVARIANT(no_request_2, !(u.s2_valid$q && u.s2_invalidate$q))
    `PROVE(hit_gives_what_was_filled,
           !(looks_3 && hit_3 && same_3 && {allowed_3, frame_3} != {allows, translation[27:0]}))
    wire serves_3 = !op_3[2] && va_3[2:0] == 0 && (op_3[1] || va_3[5:3] == 0);
    `PROVE(bad_is_what_cannot_be_served, {good_3, bad_3} == {valid_3 && serves_3, valid_3 && !serves_3})

    `REACH(hit, looks_3 && hit_3 && same_3 && frame_3 != 0)
    reg cleared = 0;
    always @(posedge clock) cleared <= cleared || (clears_3 && !late_3 && hit_3);
    `REACH(miss_after_clearing, looks_3 && !hit_3 && cleared && !filled_3)
    `REACH(hit_after_clearing_and_filling, looks_3 && hit_3 && cleared)

    `define HOLDS(E) (E[82] && E[79:64] == pid && E[63:28] == key)
    `define GIVES(E) ({E[81], E[80], E[27:0]} == translation)
    `INVARIANT(set_1, !(looks_1 || clears_1) || u.s1_set$q == set)
    `INVARIANT(set_3, !clears_3 || u.s3_set$q == set)
    `INVARIANT(set_2, !clears_2 || u.s2_set$q == set)
    `INVARIANT(same_in_order, (same || filled))
    `INVARIANT(lookup_1, !looks_1 || (!u.s1_any_pid$q && !u.s1_any_key$q && u.s1_pid$q == pid
                                      && u.s1_key$q == key))
    `INVARIANT(lookup_2, !looks_2 || (!u.s2_any_pid$q && !u.s2_any_key$q && u.s2_pid$q == pid
                                      && u.s2_key$q == key))
    `INVARIANT(clear_1, !clears_1 || (u.s1_invalidate$q && (u.s1_any_pid$q || u.s1_pid$q == pid)
                                      && (u.s1_any_key$q || u.s1_key$q == key)))
    `INVARIANT(clear_2, !clears_2 || (u.s2_invalidate$q && (u.s2_any_pid$q || u.s2_pid$q == pid)
                                      && (u.s2_any_key$q || u.s2_key$q == key)))
    `INVARIANT(clear_3, !clears_3 || u.s3_invalidate$q)
    `define WAY(W) \
        `INVARIANT(held_``W, !`HOLDS(u.ways$``W.ram.mem[set]) \
            || (filled && (!same || `GIVES(u.ways$``W.ram.mem[set])))) \
        `INVARIANT(at_``W, !(looks_1 || clears_1) || (u.ways$``W.read_at$q & (SETS - 1)) == set) \
        `INVARIANT(read_1_``W, !(looks_1 && `HOLDS(u.ways$``W.read)) \
            || (filled_1 && (!same_1 || `GIVES(u.ways$``W.read)))) \
        `INVARIANT(gone_1_``W, !(clears_1 && u.ways$``W.gone && `HOLDS(u.ways$``W.ram.mem[set])) || late_1) \
        `INVARIANT(read_2_``W, !(looks_2 && `HOLDS(u.ways$``W.entry$q)) \
            || (filled_2 && (!same_2 || `GIVES(u.ways$``W.entry$q)))) \
        `INVARIANT(read_3_``W, !(looks_3 && u.ways$``W.hit_3$q) || (filled_3 && (!same_3 \
            || u.ways$``W.frame_3$q == translation[27:0]))) \
        `INVARIANT(clears_1_``W, !(clears_1 && `HOLDS(u.ways$``W.ram.mem[set])) \
            || late_1 || `HOLDS(u.ways$``W.read)) \
        `INVARIANT(clears_2_``W, !(clears_2 && `HOLDS(u.ways$``W.ram.mem[set])) \
            || late_2 || `HOLDS(u.ways$``W.entry$q)) \
        `INVARIANT(clears_3_``W, !(clears_3 && `HOLDS(u.ways$``W.ram.mem[set])) \
            || late_3 || u.ways$``W.hit_3$q)
    `INVARIANT(any_hit_3, u.s3_hit$q == (u.ways$0.hit_3$q || u.ways$1.hit_3$q))
    `INVARIANT(permissions_3, !(looks_3 && hit_3 && same_3) || allowed_3 == allows)
    `WAY(0)
    `WAY(1)
endmodule
