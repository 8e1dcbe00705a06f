// What every proof shares: reset in the first cycle and only there, and four kinds of statements,
// each with a name. They speak of every cycle after the reset.
//
//   ASSUME     the environment's part of the contract
//   PROVE      what is promised
//   INVARIANT  what makes the induction go through; proved along with the promises
//   REACH      a state that must be reachable, so that nothing above is true for want of cases

// A value that is arbitrary, and the same in every cycle.
(* blackbox *)
module symbolic #(parameter WIDTH = 1) (output [WIDTH-1:0] Y);
endmodule

`define SYMBOLIC(WIDTH, NAME) \
    wire [WIDTH-1:0] NAME; \
    symbolic #(WIDTH) any_``NAME (NAME);

`define CLOCKED \
    reg started = 0; \
    always @(posedge clock) started <= 1; \
    always @* assume (reset == !started);

`define ASSUME(NAME, COND) always @* if (started) NAME: assume (COND);
`define PROVE(NAME, COND) always @* if (started) NAME: assert (COND);
`define INVARIANT(NAME, COND) always @* if (started) NAME: assert (COND);
`define REACH(NAME, COND) always @* if (started) NAME: cover (COND);
