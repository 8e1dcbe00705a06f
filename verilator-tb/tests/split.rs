//! Where the build script cuts a component in two.

#[path = "../build/split.rs"]
#[allow(dead_code)]
mod split;

use split::{split, Cut};

/// A component as RustHDL emits it: a register in a block, two levels down.
fn verilog(state: &str) -> String {
    format!(
        "
module top(clock,in,out);
    
    // Module arguments
    input wire  clock;
    input wire  [7:0] in;
    output reg  [7:0] out;
    reg  outer$clock;
    top$outer outer(
        .clock(outer$clock)
    );
endmodule // top

module top$outer(clock);
    input wire  clock;
    reg  block$clock;
    reg  [7:0] block$in;
    wire  block$valid;
    top$outer$block block(
        .clock(block$clock),
        .in(block$in),
        .valid(block$valid)
    );
endmodule // top$outer

module top$outer$block(clock,in,valid);
    input wire  clock;
    input wire  [7:0] in;
    output reg  valid;
    top$outer$block$kept kept(
        .d(kept$d)
    );
endmodule // top$outer$block

module top$outer$block$kept(d,q,clock);
    input wire  d;
    output reg  q;
    input wire  clock;
    always @(posedge clock) begin
       {state}
    end
endmodule // top$outer$block$kept
"
    )
}

const CUT: Cut = Cut { path: "outer.block", payloads: &[("valid", &["in"])] };

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).collect()
}

#[test]
fn ports_of_the_block_become_pins_of_both_parts() {
    let parts = split(&verilog("q <= d;"), &[CUT]).unwrap();
    let busy = lines(&parts.busy);
    assert!(busy.contains(&"output wire [7:0] outer$block$in;"), "{}", parts.busy);
    assert!(busy.contains(&".block$in(outer$block$in),"));
    assert!(busy.contains(&"output reg [7:0] block$in;"));
    assert!(busy.contains(&"input wire  block$valid;"));
    assert!(!parts.busy.contains("block block("));
    let resting = lines(&parts.resting);
    assert!(resting.contains(&"input wire [7:0] outer$block$in;"), "{}", parts.resting);
    assert!(resting.contains(&"output wire  outer$block$valid;"));
    assert!(parts.resting.contains("changed <= (outer$block.kept.q != outer$block.kept.d);"));
    let member = "outer__024block__024in";
    let join =
        format!("if (resting.outer__024block__024valid) wire.in(busy.{member}, resting.{member});");
    assert!(lines(&parts.join).contains(&join.as_str()), "{}", parts.join);
}

#[test]
fn memories_say_whether_they_change() {
    let parts = |state| split(&verilog(state), &[CUT]).unwrap().resting;
    let write = parts("if (write_enable) mem[write_address[4:0]] <= write_data;");
    assert!(write.contains("changed <= outer$block.kept.write_enable;"));
    let read = parts("if (read_enable) read_data <= mem[read_address[4:0]];");
    let kept = "outer$block.kept";
    let data = format!("({kept}.read_data != {kept}.mem[{kept}.read_address[4:0]])");
    assert!(read.contains(&format!("changed <= ({kept}.read_enable && {data});")), "{read}");
}

#[test]
fn what_cannot_be_cut_is_an_error() {
    let error = |verilog: &str, cut| split(verilog, &[cut]).err().unwrap().to_string();
    let unknown = error(&verilog("q <= q + d;"), CUT);
    assert!(
        unknown.contains("top$outer$block$kept") && unknown.contains("q <= q + d"),
        "{unknown}"
    );
    let good = verilog("q <= d;");
    let cut = |path, payloads| Cut { path, payloads };
    assert_eq!(error(&good, cut("outer.other", &[])), "no block outer.other");
    assert_eq!(
        error(&good, cut("outer.block", &[("ready", &["in"])])),
        "outer.block has no port ready"
    );
}

#[test]
fn a_model_that_waits_for_more_than_its_clock_is_told() {
    let cpp = |nba: &str, more: &str| {
        format!(
            "
void Va___024root___eval_ico(Va___024root* vlSelf) {{
    if ((1ULL & vlSelfRef.__VicoTriggered[0U])) {{
    }}
}}
void Va___024root___eval_nba(Va___024root* vlSelf) {{
{nba}
}}
{more}"
        )
    };
    let clock = "    if ((1ULL & vlSelfRef.__VnbaTriggered[0U])) {\n    }";
    let other = "    if ((2ULL & vlSelfRef.__VnbaTriggered[0U])) {\n    }";
    let act = "void Va___024root___eval_act(Va___024root* vlSelf) {\n}\n";
    let simple = |cpp: &str| split::waits_for_its_clock_alone("Va", cpp);
    assert!(simple(&cpp(clock, "")));
    assert!(!simple(&cpp(other, "")));
    assert!(!simple(&cpp(&format!("{clock}\n{other}"), "")));
    assert!(!simple(&cpp(clock, act)));
    assert!(!split::waits_for_its_clock_alone("Vb", &cpp(clock, "")));
}

#[test]
fn a_wire_between_two_blocks_that_rest_stays_there() {
    let two = |assignment: &str| {
        let second = "    top$outer$other other(\n        .wanted(other$wanted)\n    );\n";
        let body =
            format!("    reg  other$wanted;\n{second}    always @(*) begin\n{assignment}    end\n");
        let other = "
module top$outer$other(wanted);
    input wire  wanted;
endmodule // top$outer$other
";
        let verilog = verilog("q <= d;")
            .replace("endmodule // top$outer\n", &format!("{body}endmodule // top$outer\n"));
        let cuts = [CUT, Cut { path: "outer.other", payloads: &[] }];
        split(&(verilog + other), &cuts).unwrap()
    };
    let inside = two("        other$wanted = block$valid;\n");
    assert!(inside.resting.contains(",.wanted(outer$block$valid)"), "{}", inside.resting);
    assert!(!inside.join.contains("wanted"));
    for assignment in [
        "        other$wanted = block$valid;\n        if (in) begin\n            other$wanted = 1'b0;\n        end\n",
        "        other$wanted = 1'b0;\n        if (in) begin\n            other$wanted = block$valid;\n        end\n",
        "        other$wanted = block$other;\n",
        "            other$wanted = block$valid;\n",
    ] {
        assert!(two(assignment).join.contains("outer__024other__024wanted"), "{assignment}");
    }
}
