// The PCIe endpoint's reads of host memory: no tag is handed out while its read is outstanding, nor after
// its completion was given up for lost; a completion counts for a tag that is outstanding, and for no
// more lines than were asked for; each line goes where its read says, in order, and the lines that do not
// come are told as failed. What stands at an output stays until it is taken.
//
// A tag is followed. The pool of tags is cut away; what it promises, index_pool proves.
//
// block: pcie_plain$endpoint$host_reads
// file: pcie_plain.v
// k: 1
// reach: 12
// cut: pcie_plain$endpoint$host_reads$tags
//
// mutant: tag_is_handed_out_once, the tag of a lost completion goes back too
//   in: pcie_plain$endpoint$host_reads
//   replace: tags$give = finish
//   with: tags$give = finish || expire
// mutant: tag_is_handed_out_once, a completion's first line gives the tag back
//   in: pcie_plain$endpoint$host_reads
//   replace: tags$give = finish
//   with: tags$give = take || fails
// mutant: answer_is_outstanding, any tag will do
//   in: pcie_plain$endpoint$host_reads
//   replace: && active$q[tag] &&
//   with: &&
// mutant: answer_is_outstanding, a read that was given up stays
//   in: pcie_plain$endpoint$host_reads
//   replace: if (finish || expire) begin
//   with: if (finish) begin
// mutant: answer_is_outstanding, a read that ends in the very cycle of a tick stays expired
//   in: pcie_plain$endpoint$host_reads
//   replace: expired$d = (expired$q & (~clear)) |
//   with: expired$d = expired$q |
// mutant: no_more_than_asked, a completion of any length will do
//   in: pcie_plain$endpoint$host_reads
//   replace: (rc_dwords == 32'h10) && |left
//   with: (rc_dwords == 32'h10)
// mutant: line_goes_to_its_place, a second completion begins at the first line
//   in: pcie_plain$endpoint$host_reads
//   replace: (((line + 32'h1) & 49'h1ffffffffffff) << 32'h7)
//   with: (((line) & 49'h1ffffffffffff) << 32'h7)
// mutant: failed_lines_are_told, the line that is due is not one of them
//   in: pcie_plain$endpoint$host_reads
//   replace: fail_lines$d = left
//   with: fail_lines$d = left - 1
// mutant: failed_lines_are_told, a timeout is not told
//   in: pcie_plain$endpoint$host_reads
//   replace: if ((fails || expire) && (read
//   with: if ((fails) && (read
// mutant: request_has_its_tag, the tag stands in the requester's place
//   in: pcie_plain$endpoint$host_reads
//   replace: (((new_tag) & 32'hffffffff) << 32'h8)
//   with: (((new_tag) & 32'hffffffff) << 32'h10)
// mutant: requests_stand, the next one does not wait
//   in: pcie_plain$endpoint$host_reads
//   replace: starts = tags$available && (~asking$q)
//   with: starts = tags$available
// mutant: lines_stand, the next one does not wait
//   in: pcie_plain$endpoint$host_reads
//   replace: ready_now = ((~write$q) || write_ready)
//   with: ready_now = 1'b1
// mutant: failures_stand, the next one does not wait
//   in: pcie_plain$endpoint$host_reads
//   replace: write_ready) && (~failing$q)
//   with: write_ready)
`include "common.svh"

module proof (
    input clock, reset, fetch_valid, list_valid, data_valid, ask_ready, rc_valid, rc_first, rc_last,
    write_ready, failed_ready, input [31:0] timeout, input [15:0] requester, pid, input [47:0] va,
    input [63:0] fetch_address, host, mask, input [2:0] fetch_place, input [7:0] slot, input [6:0] lines,
    input [127:0] rc_header, input [511:0] rc_data, input [4:0] rc_dwords
);
    `CLOCKED
    wire ask_valid, rc_ready, write_valid, failed_valid;
    wire [127:0] ask_header;
    wire [7:0] write_slot, failed_slot, failed_status;
    wire [15:0] write_pid;
    wire [47:0] write_va;
    wire [63:0] write_mask;
    wire [511:0] write_data;
    wire [6:0] failed_lines;
    pcie_plain$endpoint$host_reads u (
        .clock, .reset, .timeout, .requester, .busy(), .dead_tags(), .fetch_valid, .fetch_ready(),
        .fetch_address, .fetch_place, .list_valid, .list_ready(), .data_valid, .data_ready(), .host, .slot,
        .pid, .va, .lines, .mask, .ask_valid, .ask_ready, .ask_header, .rc_valid, .rc_ready, .rc_first,
        .rc_last, .rc_header, .rc_data, .rc_dwords, .write_valid, .write_ready, .write_slot, .write_pid,
        .write_va, .write_mask, .write_data, .ring_line(), .list_line(), .line_place(), .line_status(),
        .line_data(), .failed_valid, .failed_ready, .failed_slot, .failed_lines, .failed_status,
        .unexpected(), .host_error());
    `ASSUME(pieces_are_within_4_kib, !data_valid || (lines >= 1 && lines <= 64))

    // A tag: whether its read is outstanding or was given up, the lines due, and what they are.
    `SYMBOLIC(5, tag)
    reg out = 0, lost = 0;
    reg [6:0] due;
    reg [41:0] line;
    reg [89:0] what;
    wire begins = u.starts && u.new_tag == tag;
    wire comes = u.take && u.tag == tag;
    wire fails = u.fails && u.tag == tag;
    wire expires = u.expire && u.tag == tag;
    wire data = !fetch_valid && !list_valid;
    always @(posedge clock) begin
        out <= !reset && (begins || (out && !(comes && due == 1) && !fails && !expires));
        lost <= !reset && (lost || expires);
        if (begins) {due, line, what} <= {data ? lines : 7'd1, va[47:6], u.new_read};
        else if (comes) {due, line} <= {due - 7'd1, line + 42'd1};
    end
    reg gone = 0;
    always @(posedge clock) gone <= !reset && ((gone || begins) && !(u.tags$give && u.tags$give_index == tag));
    `ASSUME(pool_gives_what_is_there, !u.tags$available
        || (u.tags$index < 32 && !(u.tags$index == tag && gone)))

    `PROVE(tag_is_handed_out_once, !begins || !(out || lost))
    `PROVE(answer_is_outstanding, !(comes || fails || expires) || out)
    `PROVE(no_more_than_asked, !comes || due != 0)

    reg came = 0, failed = 0, late = 0;
    reg [6:0] came_due;
    reg [41:0] came_line;
    reg [511:0] came_data;
    always @(posedge clock) begin
        came <= started && comes && what[1:0] == 0;
        failed <= started && (fails || expires) && what[1:0] == 0;
        {late, came_due, came_line, came_data} <= {expires, due, line, rc_data};
    end
    `PROVE(line_goes_to_its_place, !came || (write_valid
        && {write_mask, write_pid, write_slot} == what[89:2] && write_va == {came_line, 6'd0}
        && write_data == came_data))
    `PROVE(failed_lines_are_told, !failed || (failed_valid && failed_slot == what[9:2]
        && failed_lines == came_due && failed_status != 0 && (failed_status == 'h13) == late))

    reg began = 0;
    always @(posedge clock) began <= started && begins;
    `PROVE(request_has_its_tag, !began || (ask_valid && ask_header[47:40] == tag
        && ask_header[9:0] == 10'(due << 4)))

    reg ask_was = 0, write_was = 0, failed_was = 0;
    reg [127:0] ask_had;
    reg [647:0] write_had;
    reg [22:0] failed_had;
    wire [647:0] write_has = {write_slot, write_pid, write_va, write_mask, write_data};
    wire [22:0] failed_has = {failed_slot, failed_lines, failed_status};
    always @(posedge clock) begin
        ask_was <= started && ask_valid && !ask_ready;
        write_was <= started && write_valid && !write_ready;
        failed_was <= started && failed_valid && !failed_ready;
        {ask_had, write_had, failed_had} <= {ask_header, write_has, failed_has};
    end
    `PROVE(requests_stand, !ask_was || (ask_valid && ask_header == ask_had))
    `PROVE(lines_stand, !write_was || (write_valid && write_has == write_had))
    `PROVE(failures_stand, !failed_was || (failed_valid && failed_has == failed_had))

    `REACH(two_completions, comes && due == 1 && rc_first && line == va[47:6] + 42'd1 && what[1:0] == 0)
    `REACH(given_up, expires && u.active$q != 32'd1 << tag)
    `REACH(waits, write_was && ask_was && failed_was)

    `INVARIANT(active, u.active$q[tag] == out)
    `INVARIANT(expired_is_active, !u.expired$q[tag] || out)
    `INVARIANT(out_of_the_pool, gone == (out || lost) && !(out && lost))
    `INVARIANT(due_is_kept, !out || (due >= 1 && due <= 64 && u.progress.mem[tag] == {line, due}))
    `INVARIANT(what_is_kept, !out || u.reads.mem[tag] == what)
    `INVARIANT(under_way, !u.running$q || u.tag_now$q != tag || u.left_now$q == 0
        || (out && u.left_now$q == due && u.line_now$q == line))
endmodule
