// The retry buffer of the CXL link layer: the place of a flit that the other end has not acknowledged is
// never given to another flit, every flit that was sent since the rewind's place is sent again, and none
// that was not sent.
//
// block: cxl_link$replay
// file: cxl_link.v
// k: 1
// reach: 12
// cut: cxl_link$replay$flits cxl_link$replay$headless
//
// mutant: unacknowledged_place_is_kept, the write pointer stands still
//   in: cxl_link$replay
//   replace: write$d = write$q + 32'h1
//   with: write$d = write$q
// mutant: replay_goes_up_to_the_newest, a new flit is not passed by the read pointer
//   in: cxl_link$replay
//   replace: write$d = write$q + 32'h1
//   with: write$d = write$q + 32'h2
// mutant: held_is_in_use, a push takes two places in the count
//   in: cxl_link$replay
//   replace: count$q + ((push) & 7'h7f)
//   with: count$q + 2 * ((push) & 7'h7f)
// mutant: rewind_is_where_it_was_asked, it goes back to one flit later
//   in: cxl_link$replay
//   replace: read$d = rewind_to
//   with: read$d = rewind_to + 1
`include "common.svh"

module proof (
    input clock, reset, push, push_all_data, store, rewind, advance,
    input [5:0] store_at, rewind_to, input [527:0] store_flit, input [7:0] acks
);
    `CLOCKED
    wire [5:0] write_at, oldest;
    wire [6:0] used;
    wire again;
    cxl_link$replay u (
        .clock, .reset, .push, .push_all_data, .write_at, .store, .store_at, .store_flit, .acks,
        .used, .oldest, .rewind, .rewind_to, .again, .again_all_data(), .advance, .flit());

    // One flit leaves at a time: a new one, one again, or the RETRY.Ack that rewinds.
    `ASSUME(one_at_a_time, push + advance + rewind <= 1)
    `ASSUME(new_ones_behind_all_others, !push || !again)
    `ASSUME(again_what_there_is, !advance || again)
    `ASSUME(a_place_stays_free, !push || used < 63)
    `ASSUME(acknowledged_were_sent, acks <= used)
    wire [5:0] back = rewind_to - oldest;
    `ASSUME(rewinds_to_what_there_is, !rewind || back <= used)

    // A place, and whether a flit that is not acknowledged stands there.
    `SYMBOLIC(6, place)
    reg held = 0;
    wire [5:0] age = place - oldest;
    always @(posedge clock)
        held <= !reset && ((held && age >= acks) || (push && write_at == place));
    `PROVE(unacknowledged_place_is_kept, !(push && write_at == place && held))
    `PROVE(held_is_in_use, held == (age < used))

    // Flits from the read pointer to the write pointer: as many as are to be sent again.
    reg [5:0] due = 0;
    always @(posedge clock) due <= reset ? 0 : rewind ? write_at - rewind_to : due - advance;
    `PROVE(replay_goes_up_to_the_newest, again == (due != 0))

    reg rewound = 0;
    reg [5:0] from;
    always @(posedge clock) begin
        rewound <= started && rewind;
        from <= rewind_to;
    end
    `PROVE(rewind_is_where_it_was_asked, !rewound || u.read$q == from)

    `REACH(several, push && write_at == 3 && used == 3)
    `REACH(replays, advance && due == 2)

    `INVARIANT(span, used <= 63 && 6'(write_at - oldest) == used[5:0])
    `INVARIANT(to_be_sent, 6'(write_at - u.read$q) == due)
endmodule
