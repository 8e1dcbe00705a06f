// The fault unit takes only a frame that is offered, of the size of the page, one for a walk. The
// faulting request goes to its line of that frame. One PTE write names the frame, in the bucket line of
// that walk, and stays until it is taken. The TLB is filled with the pid and the page of the walk.
//
// block: top$replay
// k: 1
// reach: 12
//
// mutant: takes_what_is_offered, a fault of a 2 MiB page takes a frame of 4 KiB too
//   in: top$replay
//   replace: grant_4k_take = go_issue && needs_4k$q
//   with: grant_4k_take = go_issue && takes_frame
// mutant: one_frame_a_walk, what a fault found out is not kept
//   in: top$replay
//   replace: results$write_enable = result || (go_issue && takes_frame)
//   with: results$write_enable = result
// mutant: request_goes_to_its_frame, a frame of the other size is used when both lists have one
//   in: top$replay
//   replace: frame = grant_2m_frame
//   with: frame = grant_4k_valid ? grant_4k_frame : grant_2m_frame
// mutant: each_grant_is_one_pte_write, a fault that also fills the TLB writes no PTE
//   in: top$replay
//   replace: pte_writes$push = go_issue && takes_frame
//   with: pte_writes$push = go_issue && takes_frame && ~fill
// mutant: pte_write_stays_until_ready, the bucket line is that of the walk at work
//   in: top$replay
//   replace: lines$read_address = pte_writes$head[(32'h1e)+:(7)]
//   with: lines$read_address = run_index$q
// mutant: pte_write_is_of_its_walk, the bucket line is that of another walk
//   in: top$replay
//   replace: lines$read_address = pte_writes$head[(32'h1e)+:(7)]
//   with: lines$read_address = pte_writes$head[(32'h1e)+:(7)] ^ 1
// mutant: fill_is_of_its_walk, the TLB is filled for the pid that is looked up
//   in: top$replay
//   replace: fill_pid = read_page$q[(32'h0)+:(16)]
//   with: fill_pid = pid_3
`include "common.svh"

module proof (
    input clock, reset, accept, allocate, result, result_present, grant_4k_valid, grant_2m_valid, pte_ready,
    input [6:0] accept_slot, allocate_index, result_index,
    input [47:0] accept_va,
    input [15:0] pid_3,
    input [35:0] key_3,
    input [33:0] line_3,
    input [27:0] grant_4k_frame, grant_2m_frame
);
    `CLOCKED
    localparam SLOTS = 4, ENTRIES = 4, FRAMES = 1024;

    wire grant_4k_take, grant_2m_take, active, issue, fill, pte_valid;
    wire [6:0] index, slot, issue_slot, pte_index;
    wire [33:0] issue_line, pte_line;
    wire [15:0] fill_pid;
    wire [35:0] fill_key;
    wire [27:0] fill_frame, pte_frame;
    wire [1:0] pte_way;
    top$replay u (
        .clock, .reset, .accept, .accept_slot, .accept_va, .slot, .allocate, .allocate_index, .pid_3, .key_3, .line_3, .result,
        .result_index, .result_present, .index, .active, .issue, .issue_slot, .issue_line, .fill, .fill_pid, .fill_key,
        .fill_frame, .grant_4k_valid, .grant_4k_frame, .grant_4k_take, .grant_2m_valid,
        .grant_2m_frame, .grant_2m_take, .pte_valid, .pte_ready, .pte_index, .pte_way, .pte_frame,
        .pte_line);

    wire takes = grant_4k_take || grant_2m_take;
    wire [27:0] frame = grant_2m_take ? grant_2m_frame : grant_4k_frame;
    `ASSUME(frames_there_are, grant_4k_frame < FRAMES && grant_2m_frame < FRAMES
                              && grant_2m_frame[8:0] == 0)
    `PROVE(takes_what_is_offered, (!grant_4k_take || grant_4k_valid) && (!grant_2m_take || grant_2m_valid)
                                  && !(grant_4k_take && grant_2m_take))
    // Any slot, from when a request was accepted into it.
    `SYMBOLIC(7, any_slot)
    `ASSUME(a_slot, any_slot < SLOTS)
    `ASSUME(slots_there_are, accept_slot < SLOTS)
    // Nobody is accepted into the slot that is at work.
    `ASSUME(accepts_into_other_slots, !accept || accept_slot != slot || !(u.reading$q || u.run$q || u.ending$q))
    reg accepted = 0;
    reg [47:0] va;
    always @(posedge clock) if (accept && accept_slot == any_slot) begin
        accepted <= started;
        va <= accept_va;
    end
    // Who took a frame stands before the issue stage from the next cycle on, until he goes there.
    reg took_one = 0;
    reg [33:0] goes_to;
    always @(posedge clock) begin
        took_one <= started && ((takes && accepted && slot == any_slot) || (took_one && !issue));
        if (takes) goes_to <= va[47] ? {frame[27:9], va[20:6]} : {frame, va[11:6]};
    end
    `PROVE(request_goes_to_its_frame, (!(takes && accepted && slot == any_slot)
            || (grant_2m_take == va[47] && (!fill || fill_frame == frame) && !took_one))
        && (!took_one || (active && issue_slot == any_slot && issue_line == goes_to)))

    // Frames that were taken and whose PTE write did not go yet, oldest first.
    wire goes = pte_valid && pte_ready;
    reg [34:0] expected [0:ENTRIES-1];
    reg [2:0] count = 0;
    integer i;
    always @(posedge clock) begin
        if (goes) for (i = 0; i < ENTRIES - 1; i = i + 1) expected[i] <= expected[i + 1];
        if (takes) expected[count - goes] <= {index, frame};
        count <= reset ? 0 : count + takes - goes;
    end
    `define QUEUED(N) (count > N && expected[N][29:28] == allocate_index[1:0])
    // The walk table's contract: a walk's entry stands until its PTE is written.
    `ASSUME(room, !takes || count != ENTRIES)
    `ASSUME(entries_there_are, allocate_index < ENTRIES)
    `ASSUME(entry_stands, !allocate || !(`QUEUED(0) || `QUEUED(1) || `QUEUED(2) || `QUEUED(3)
                                         || (takes && index[1:0] == allocate_index[1:0])))
    `ASSUME(entry_at_work_stands, !allocate || index != allocate_index || !(u.reading$q || u.run$q || u.ending$q))
    `PROVE(each_grant_is_one_pte_write, pte_valid == (count != 0)
                                        && (!pte_valid || {pte_index, pte_frame} == expected[0]))
    reg stood = 0;
    reg [70:0] was;
    wire [70:0] write = {pte_index, pte_way, pte_frame, pte_line};
    always @(posedge clock) begin
        stood <= started && pte_valid && !pte_ready;
        was <= write;
    end
    `PROVE(pte_write_stays_until_ready, !stood || (pte_valid && write == was))

    // Any walk, from when it was allocated.
    `SYMBOLIC(7, walk)
    `ASSUME(a_walk, walk < ENTRIES)
    reg known = 0, took = 0;
    reg [51:0] page;
    reg [33:0] bucket;
    always @(posedge clock) begin
        if (allocate && allocate_index == walk) begin
            known <= started;
            page <= {pid_3, key_3};
            bucket <= line_3;
        end
        took <= started && ((takes && index == walk) || (took && !(result && result_index[1:0] == walk)));
    end
    `PROVE(one_frame_a_walk, !(takes && index == walk && took))
    `PROVE(pte_write_is_of_its_walk, !(known && pte_valid && pte_index == walk) || pte_line == bucket)
    `PROVE(fill_is_of_its_walk, !(known && fill && index == walk) || {fill_pid, fill_key} == page)

    `REACH(two_wait, count == 2 && grant_2m_take && accepted && slot == any_slot)
    `REACH(second_of_the_walk, took && issue && index == walk && !takes && known)
    `REACH(goes_after_a_wait, stood && goes && known && pte_index == walk)

    `define AT(N) u.pte_writes.ram.mem[2'(u.pte_writes.read_at$q + N)]
    `define HELD(N) `INVARIANT(held_``N, count <= N || {`AT(N)[36:30], `AT(N)[27:0]} == expected[N])
    `INVARIANT(counted, u.pte_writes.count$q == count && count <= ENTRIES
        && u.pte_writes.filled$q == (count != 0)
        && 8'(u.pte_writes.write_at$q - u.pte_writes.read_at$q) == count)
    `HELD(0)
    `HELD(1)
    `HELD(2)
    `HELD(3)
    `INVARIANT(offered, !stood || (count != 0 && write == was))
    `INVARIANT(kept, !known || (u.lines.mem[walk[1:0]] == bucket
        && {u.pages.mem[walk[1:0]][15:0], u.pages.mem[walk[1:0]][51:16]} == page))
    `INVARIANT(request_kept, !accepted || u.requests.mem[any_slot[1:0]][15:0]
                                         == (va[47] ? {1'b1, va[20:6]} : {10'b0, va[11:6]}))
    `INVARIANT(one_step, !(u.reading$q && u.run$q) && !(u.run$q && u.ending$q)
        && !(u.reading$q && u.ending$q))
    `INVARIANT(request_read, !(accepted && u.run$q && u.run_slot$q == any_slot)
        || u.read_request$q[15:0] == (va[47] ? {1'b1, va[20:6]} : {10'b0, va[11:6]}))
    `INVARIANT(page_read, !(known && u.run$q && u.run_index$q == walk)
        || {u.read_page$q[15:0], u.read_page$q[51:16]} == page)
    `INVARIANT(needs_read, !(u.run$q && (u.needs_4k$q || u.needs_2m$q)) || (!u.read_result$q[30]
        && {u.needs_2m$q, u.needs_4k$q} == {u.read_request$q[15], !u.read_request$q[15]} && !u.has_frame$q))
    `INVARIANT(result_read, !(took && u.run$q && u.run_index$q == walk) || u.read_result$q[30])
    `INVARIANT(present_now, !took || u.results.mem[walk[1:0]][30])
endmodule
