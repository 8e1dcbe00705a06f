// Credits that the CXL link layer owes: none is lost and none is made up. What is owed, and what the
// other end holds or has used for messages that wait here, is what was to be given, and never more than
// the room. Stalled, none is told.
//
// block: cxl_link$reqs_owed
// file: cxl_link.v
// same: cxl_link$rwds_owed
// k: 1
// reach: 10
//
// mutant: no_credit_is_lost, one that comes in the cycle of a return is forgotten
//   in: cxl_link$reqs_owed
//   replace: (owed$q - most) + ((taken) & 7'h7f)
//   with: (owed$q - most)
// mutant: no_credit_is_lost, one is told for two
//   in: cxl_link$reqs_owed
//   replace: code = 32'ha
//   with: code = 32'h9
// mutant: returned_are_cxl_mems, one is told as CXL.cache's
//   in: cxl_link$reqs_owed
//   replace: code = 32'h9
//   with: code = 32'h1
// mutant: owed_are_told, the flag looks at another bit
//   in: cxl_link$reqs_owed
//   replace: any = |owed$q
//   with: any = owed$q[6]
// mutant: room_is_kept, more are given than there is room for
//   in: cxl_link$reqs_owed
//   replace: owed$d = ((given) & 7'h7f)
//   with: owed$d = 7'h7f
// mutant: stalled_gives_none, it tells them and forgets
//   in: cxl_link$reqs_owed
//   replace: code = 32'h0;
//   with: code = stalled ? 32'h9 : 32'h0;
`include "common.svh"

module proof (input clock, reset, taken, returns, stalled, input [9:0] given);
    `CLOCKED
    wire [3:0] code;
    wire any;
    wire [6:0] count;
    cxl_link$reqs_owed u (.clock, .reset, .given, .stalled, .taken, .returns, .code, .any, .count);

    // As the reset found it.
    reg [7:0] room;
    always @(posedge clock) if (reset) room <= given > 64 ? 64 : given;

    // Table 4-4.
    wire [6:0] told = code[2:0] == 0 ? 0 : 1 << (code[2:0] - 1);
    reg [7:0] out = 0;
    always @(posedge clock) out <= reset ? 0 : out + (returns ? told : 0) - taken;
    `ASSUME(taken_were_sent_with_credit, !taken || out != 0)

    `PROVE(no_credit_is_lost, count + out == room)
    `PROVE(returned_are_cxl_mems, (code != 0) == any && (!any || code[3]))
    `PROVE(owed_are_told, any == (out != room && !stalled))
    `PROVE(room_is_kept, count <= 64)
    `PROVE(stalled_gives_none, !stalled || code == 0)

    `REACH(all_out, out == 64)
    `REACH(few, out == room && room == 5 && returns)
    `REACH(rest_later, returns && taken && code == 11 && u.owed$q == 5)

    `INVARIANT(at_most_the_room, room <= 64 && out <= room)
endmodule
