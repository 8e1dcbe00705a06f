// The CXL.mem transaction layer: each message that is accepted and has an answer gets exactly one, of its
// kind (DRS for a read, NDR for the rest), with its own tag and LD-ID; there is no S2M without M2S. All
// four channels keep what they promise: valid stays with the same payload until ready, and neither of
// the two M2S channels waits for more than one message of the other.
//
// A slot is followed from acceptance to answer. The pool of slots and the queues between are cut away;
// what they promise, index_pool and fifo prove.
//
// block: cxl_mem$front
// file: cxl_mem.v
// k: 1
// reach: 12
// cut: cxl_mem$front$decoders cxl_mem$front$windows cxl_mem$front$poison cxl_mem$front$events
// cut: cxl_mem$front$slots cxl_mem$front$denied cxl_mem$front$heads cxl_mem$front$masks
// cut: cxl_mem$front$data cxl_mem$front$drs_lines cxl_mem$front$lines
//
// mutant: answers_what_was_asked, an accepted message frees a slot
//   in: cxl_mem$front
//   replace: slots$give = answer
//   with: slots$give = answer || take_req
// mutant: answers_what_was_asked, the answer frees the slot beside its own
//   in: cxl_mem$front
//   replace: slots$give_index = slot
//   with: slots$give_index = slot ^ 1
// mutant: answer_is_of_its_kind, a write is answered with data too
//   in: cxl_mem$front
//   replace: push_drs = answer && ~fact[32'h14]
//   with: push_drs = answer
// mutant: answer_has_its_tag, an RwD is answered with the tag that stands at Req
//   in: cxl_mem$front
//   replace: tag = rwd_tag
//   with: tag = req_tag
// mutant: none_is_dropped, answers are made whether there is room or not
//   in: cxl_mem$front
//   replace: can_answer = ~(ndr_count$q == 32'h8) &&
//   with: can_answer =
// mutant: answers_stand, an NDR leaves whether it is taken or not
//   in: cxl_mem$front
//   replace: pop_ndr = ndrs$nonempty && ndr_ready
//   with: pop_ndr = ndrs$nonempty
// mutant: one_message_a_cycle, both channels are told that they were served
//   in: cxl_mem$front
//   replace: req_ready = room && ~pick_rwd
//   with: req_ready = room
// mutant: turns_are_taken, Req always goes first
//   in: cxl_mem$front
//   replace: rwd_valid && (turn_rwd$q || ~req_valid)
//   with: rwd_valid && ~req_valid
`include "common.svh"

module proof (
    input clock, reset, enable, req_valid, rwd_valid, rwd_poison, ndr_ready, drs_ready, p_req_ready,
    p_resp_valid, input [49:0] bus, input [3:0] req_opcode, req_ld, rwd_opcode, rwd_ld,
    input [15:0] req_tag, rwd_tag, p_resp_tag, input [45:0] req_line, rwd_line, input [63:0] rwd_mask,
    input [511:0] rwd_data, p_resp_data, input [2:0] p_resp_status
);
    `CLOCKED
    wire req_ready, rwd_ready, ndr_valid, drs_valid, drs_poison, p_req_valid, p_resp_ready;
    wire [15:0] ndr_tag, drs_tag;
    wire [3:0] ndr_ld, drs_ld;
    cxl_mem$front u (
        .clock, .bus({bus, reset}), .read_data(), .enable, .req_valid, .req_ready, .req_opcode,
        .req_tag, .req_line, .req_ld, .rwd_valid, .rwd_ready, .rwd_opcode, .rwd_tag, .rwd_line, .rwd_ld,
        .rwd_poison, .rwd_mask, .rwd_data, .ndr_valid, .ndr_ready, .ndr_tag, .ndr_ld, .drs_valid,
        .drs_ready, .drs_tag, .drs_ld, .drs_poison, .drs_data(), .load(), .p_req_valid, .p_req_ready,
        .p_req_write(), .p_req_tag(), .p_req_pid(), .p_req_va(), .p_req_mask(), .p_req_data(),
        .p_resp_valid, .p_resp_ready, .p_resp_tag, .p_resp_status, .p_resp_data, .event_waits(),
        .overflow(), .reserved(), .poison_in());

    wire takes_req = req_valid && req_ready, takes_rwd = rwd_valid && rwd_ready;
    `PROVE(one_message_a_cycle, !(takes_req && takes_rwd))

    // Which messages have an answer, and which kind (CXL 3.1, section 3.5, HDM-H).
    wire read = takes_req && (req_opcode == 1 || req_opcode == 2);
    wire no_data = (takes_req && (req_opcode == 0 || req_opcode == 9))
        || (takes_rwd && (rwd_opcode == 1 || rwd_opcode == 2));
    wire accepts = read || no_data;

    // Where a slot is on its way.
    localparam FREE = 0, FIRST = 1, SECOND = 2, DENIED = 3, QUEUED = 4, AT_PORT = 5;
    `SYMBOLIC(6, slot)
    reg [2:0] place = FREE;
    reg [19:0] asked;
    reg asked_no_data;
    wire taken = accepts && u.slots$index == slot;
    wire given = u.slots$give && u.slots$give_index == slot;
    always @(posedge clock) begin
        if (reset) place <= FREE;
        else if (taken) place <= FIRST;
        else if (given) place <= FREE;
        else if (place == FIRST) place <= SECOND;
        else if (place == SECOND) place <= u.denied$push ? DENIED : QUEUED;
        else if (place == QUEUED && u.heads$pop && u.heads$head[7:1] == slot) place <= AT_PORT;
        if (taken) {asked_no_data, asked} <= {no_data, takes_rwd ? {rwd_ld, rwd_tag} : {req_ld, req_tag}};
    end
    `ASSUME(pool_gives_what_is_free, !accepts || (u.slots$index < 64 && (!taken || place == FREE)))
    `ASSUME(pool_says_what_it_has, u.slots$available || !accepts)
    `ASSUME(denied_are_those, !u.denied$nonempty || (u.denied$head[6:0] < 64
        && (u.denied$head[6:0] != slot || place == DENIED)))
    `ASSUME(queued_are_those, !u.heads$nonempty || (u.heads$head[7:1] < 64
        && (u.heads$head[7:1] != slot || place == QUEUED)))
    `ASSUME(port_answers_what_it_took, !p_resp_valid || (p_resp_tag < 64
        && (p_resp_tag != slot || place == AT_PORT)))

    `PROVE(answers_what_was_asked, !given || place == DENIED || place == AT_PORT)
    wire answered = given && started;
    `PROVE(answer_is_of_its_kind, (u.ndrs$push || u.drss$push) == u.slots$give
        && !(u.ndrs$push && u.drss$push) && (!answered || u.ndrs$push == asked_no_data))
    `PROVE(answer_has_its_tag, !answered
        || (asked_no_data ? u.ndrs$push_data[19:0] : u.drss$push_data[19:0]) == asked)
    `PROVE(none_is_dropped, !(u.ndrs$push && u.ndrs.count$q == 8) && !(u.drss$push && u.drss.count$q == 8))

    reg ndr_was = 0, drs_was = 0;
    reg [19:0] ndr_had;
    reg [20:0] drs_had;
    always @(posedge clock) begin
        {ndr_was, drs_was} <= started ? {ndr_valid && !ndr_ready, drs_valid && !drs_ready} : 0;
        ndr_had <= {ndr_ld, ndr_tag};
        drs_had <= {drs_poison, drs_ld, drs_tag};
    end
    `PROVE(answers_stand, (!ndr_was || (ndr_valid && {ndr_ld, ndr_tag} == ndr_had))
        && (!drs_was || (drs_valid && {drs_poison, drs_ld, drs_tag} == drs_had)))

    // Messages of the other channel that went first while one waited.
    reg [1:0] before_req = 0, before_rwd = 0;
    reg req_was = 0, rwd_was = 0;
    always @(posedge clock) begin
        before_req <= started && req_valid && !takes_req ? before_req + takes_rwd : 0;
        before_rwd <= started && rwd_valid && !takes_rwd ? before_rwd + takes_req : 0;
        {req_was, rwd_was} <= started ? {req_valid && !takes_req, rwd_valid && !takes_rwd} : 0;
    end
    `ASSUME(messages_stand, (!req_was || req_valid) && (!rwd_was || rwd_valid))
    `PROVE(turns_are_taken, before_req <= 1 && before_rwd <= 1)

    `REACH(read_denied, answered && place == DENIED && !asked_no_data)
    `REACH(write_done, answered && place == AT_PORT && asked_no_data && ndr_was)

    `INVARIANT(first, (place == FIRST) == (u.a_valid$q && u.a_slot$q == slot))
    `INVARIANT(second, (place == SECOND) == (u.b_valid$q && u.b_slot$q == slot))
    `INVARIANT(places, place <= AT_PORT)
    `INVARIANT(remembered, place == FREE || (u.facts.mem[slot][19:0] == asked
        && u.facts.mem[slot][20] == asked_no_data))
    `INVARIANT(ndr_queue, u.ndrs.count$q <= 8 && u.ndrs.filled$q == (u.ndrs.count$q != 0)
        && 8'(u.ndrs.write_at$q - u.ndrs.read_at$q) == u.ndrs.count$q && u.ndr_count$q == u.ndrs.count$q)
    `INVARIANT(drs_queue, u.drss.count$q <= 8 && u.drss.filled$q == (u.drss.count$q != 0)
        && 8'(u.drss.write_at$q - u.drss.read_at$q) == u.drss.count$q && u.drs_count$q == u.drss.count$q)
    `INVARIANT(ndr_is_there, !ndr_was || (u.ndrs.count$q != 0
        && u.ndrs.ram.mem[u.ndrs.read_at$q[2:0]] == ndr_had))
    `INVARIANT(drs_is_there, !drs_was || (u.drss.count$q != 0
        && u.drss.ram.mem[u.drss.read_at$q[2:0]] == drs_had))
    `INVARIANT(turn_req, before_req == 0 || (before_req == 1 && !u.turn_rwd$q))
    `INVARIANT(turn_rwd, before_rwd == 0 || (before_rwd == 1 && u.turn_rwd$q))
endmodule
