//! Cuts an emitted component in two for the simulation: the part that works in every cycle, and
//! blocks that mostly rest. The resting part is a model of its own, which is evaluated only in cycles
//! in which it could change (cpp/split.h); a component whose monitor sleeps has half of its registers
//! there.
//!
//! What the hardware does stays the same, cycle by cycle: the cut only turns the ports of the blocks
//! into pins of both models. Whether the resting part may be left alone is not guessed: its model
//! has a pin `changed`, which says whether any of its registers or memories changed at the last clock
//! edge. If none did, and its inputs are the same, none will at the next one.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;

/// A block that mostly rests.
pub struct Cut {
    /// The names of the instances on the way to it, joined by dots.
    pub path: &'static str,
    /// Inputs that the block looks at only while another port is high: that port, and they.
    pub payloads: &'static [(&'static str, &'static [&'static str])],
}

/// The blocks of the resting part: what the monitor reaches, without what counts in every cycle. All
/// of them stand still while no register is accessed, no frame cleared or granted and no translation
/// shot down.
pub const CUTS: &[Cut] = &[
    Cut { path: "manage.registers", payloads: &[] },
    Cut { path: "manage.interrupts", payloads: &[] },
    Cut { path: "manage.mailbox", payloads: &[] },
    Cut { path: "manage.shootdown", payloads: &[] },
    Cut {
        path: "manage.frames",
        payloads: &[("zero_cmd_valid", &["zero_cmd_ready"]), ("zero_ack_valid", &["zero_ack_tag"])],
    },
    Cut {
        path: "manage.engine",
        payloads: &[
            ("te_cmd_valid", &["te_cmd_ready"]),
            ("te_resp_valid", &["te_resp_tag", "te_resp_data", "te_resp_poison"]),
        ],
    },
    Cut { path: "shootdown", payloads: &[("busy", &["advance"])] },
];

/// A component in two parts.
pub struct Split {
    /// Verilog of the part that works in every cycle, module `top`.
    pub busy: String,
    /// Verilog of the resting part, module `resting`.
    pub resting: String,
    /// C++ statements that tell `wire` (cpp/split.h) of every pin that `busy` and `resting` share.
    pub join: String,
}

#[derive(Clone)]
struct Port {
    name: String,
    input: bool,
    /// `[31:0]`, or nothing.
    range: String,
}

struct Instance<'a> {
    module: &'a str,
    name: &'a str,
}

/// Cuts the component `verilog` at `cuts`.
///
/// # Errors
/// If the Verilog does not look as RustHDL emits it, or a block or port is not there.
pub fn split(verilog: &str, cuts: &[Cut]) -> Result<Split, Box<dyn Error>> {
    let modules = modules(verilog)?;
    let mut busy: BTreeMap<&str, String> =
        modules.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    let mut resting = String::new();
    let (mut pins, mut instances, mut changes) = (Vec::new(), String::new(), Vec::new());
    let mut join = String::new();
    for cut in cuts {
        let steps: Vec<&str> = cut.path.split('.').collect();
        let (way, last) = steps.split_at(steps.len() - 1);
        let parent = way.iter().fold("top".to_owned(), |module, step| format!("{module}${step}"));
        let block = format!("{parent}${}", last[0]);
        let text = *modules.get(block.as_str()).ok_or_else(|| format!("no block {}", cut.path))?;
        let flat = cut.path.replace('.', "$");
        let parent_text = busy.get_mut(parent.as_str()).ok_or("a block in a block that is cut")?;
        *parent_text = without_instance(parent_text, &block, last[0])?;
        // What only goes from one block of the resting part to another stays there.
        let (mut ports, mut inner) = (Vec::new(), Vec::new());
        for port in self::ports(text).filter(|port| port.name != "clock") {
            let rule = |(valid, payload): &(&str, &[&str])| {
                *valid == port.name || payload.contains(&port.name.as_str())
            };
            let stub = format!("{}${}", last[0], port.name);
            let source = assigned_once(modules[parent.as_str()], &stub).filter(|_| port.input);
            match source.filter(|source| is_output(&modules, cuts, &parent, source)) {
                Some(source) if !cut.payloads.iter().any(rule) => {
                    let way: String = way.iter().map(|step| format!("{step}$")).collect();
                    inner.push((port.name, format!("{way}{source}")));
                }
                _ => ports.push(port),
            }
        }
        for port in &ports {
            let stub = format!("{}${}", last[0], port.name);
            *parent_text = promoted(parent_text, &stub, port)?;
        }
        // From the block's parent up to the component.
        for depth in (0..way.len()).rev() {
            let outer = way[..depth].iter().fold("top".to_owned(), |m, step| format!("{m}${step}"));
            let text = busy.get_mut(outer.as_str()).ok_or("a block without a parent")?;
            for port in &ports {
                let inner = format!("{}${}", steps[depth + 1..].join("$"), port.name);
                *text =
                    passed_on(text, &format!("{outer}${}", way[depth]), way[depth], &inner, port)?;
            }
        }

        writeln!(instances, "    {block} {flat}(.clock(clock)")?;
        for port in &ports {
            writeln!(instances, "        ,.{}({flat}${})", port.name, port.name)?;
        }
        for (port, source) in &inner {
            writeln!(instances, "        ,.{port}({source})")?;
        }
        instances.push_str("    );\n");
        collect_changes(&modules, &block, &flat, &mut changes)?;
        for (name, text) in &modules {
            if *name == block || name.starts_with(&format!("{block}$")) {
                busy.remove(name);
                resting.push_str(text);
            }
        }
        write_join(&mut join, cut, &flat, &ports)?;
        pins.extend(ports.into_iter().map(|p| Port { name: format!("{flat}${}", p.name), ..p }));
    }

    let names: String = pins.iter().map(|pin| format!(",{}", pin.name)).collect();
    write!(resting, "module resting(clock,changed{names});\n    input wire clock;\n")?;
    resting.push_str("    output reg changed;\n");
    for pin in &pins {
        let direction = if pin.input { "input" } else { "output" };
        writeln!(resting, "    {direction} wire {} {};", pin.range, pin.name)?;
    }
    resting.push_str(&instances);
    let changes = changes.join("\n            || ");
    write!(resting, "    always @(posedge clock) changed <= {changes};\nendmodule\n")?;
    Ok(Split { busy: busy.into_values().collect(), resting, join })
}

/// The modules' texts by name.
fn modules(verilog: &str) -> Result<BTreeMap<&str, &str>, Box<dyn Error>> {
    let mut modules = BTreeMap::new();
    let mut rest = verilog;
    while let Some(start) = rest.find("\nmodule ") {
        let text = &rest[start..];
        let end = text.find("\nendmodule").ok_or("a module without an end")?;
        let end = text[end + 1..].find('\n').map_or(text.len(), |line| end + 1 + line + 1);
        let name = text["\nmodule ".len()..].split('(').next().ok_or("a module without a name")?;
        modules.insert(name, &text[..end]);
        rest = &text[end - 1..];
    }
    Ok(modules)
}

/// The ports that a module declares.
fn ports(text: &str) -> impl Iterator<Item = Port> + '_ {
    text.lines().filter_map(|line| {
        let mut words = line.trim().strip_suffix(';')?.split_whitespace();
        let input = match words.next()? {
            "input" => true,
            "output" => false,
            _ => return None,
        };
        words.next()?;
        let (range, name) = match (words.next()?, words.next()) {
            (range, Some(name)) => (range, name),
            (name, None) => ("", name),
        };
        Some(Port { name: name.to_owned(), input, range: range.to_owned() })
    })
}

/// The instances in a module of blocks that RustHDL emitted.
fn instances(text: &str) -> impl Iterator<Item = Instance<'_>> {
    text.lines().filter_map(|line| {
        let (module, name) = line.trim().strip_suffix('(')?.split_once(' ')?;
        (module.starts_with("top$")).then_some(Instance { module, name })
    })
}

/// What `text` assigns to a wire, if it does so once and on no condition.
fn assigned_once<'a>(text: &'a str, wire: &str) -> Option<&'a str> {
    let mut values = text.lines().filter_map(|line| line.trim().strip_prefix(wire));
    let value = values.find(|rest| rest.starts_with(" = ") || rest.starts_with('['))?;
    let value = value.strip_prefix(" = ")?.strip_suffix(';')?;
    let others = values.any(|rest| rest.starts_with(" = ") || rest.starts_with('['));
    (!others && text.contains(&format!("\n        {wire} = {value};\n"))).then_some(value)
}

/// Whether `wire` is an output of a block that is cut out of `parent`.
fn is_output(modules: &BTreeMap<&str, &str>, cuts: &[Cut], parent: &str, wire: &str) -> bool {
    cuts.iter().any(|cut| {
        let block = format!("top${}", cut.path.replace('.', "$"));
        let name = wire.rsplit_once('$').filter(|(name, _)| block == format!("{parent}${name}"));
        let text = modules.get(block.as_str());
        name.zip(text).is_some_and(|((_, port), text)| {
            ports(text).any(|candidate| !candidate.input && candidate.name == port)
        })
    })
}

fn without_instance(text: &str, module: &str, name: &str) -> Result<String, Box<dyn Error>> {
    let start = text.find(&format!("    {module} {name}(\n")).ok_or("no such instance")?;
    let end = start + text[start..].find(");\n").ok_or("an instance without an end")? + 3;
    Ok(format!("{}{}", &text[..start], &text[end..]))
}

/// Makes the wires of a block that was taken out of `text` ports: what the block took goes out.
fn promoted(text: &str, stub: &str, port: &Port) -> Result<String, Box<dyn Error>> {
    let kind = if port.input { "reg" } else { "wire" };
    let old = format!("    {kind}  {} {stub};", port.range);
    let old = if port.range.is_empty() { format!("    {kind}  {stub};") } else { old };
    let direction = if port.input { "output reg" } else { "input wire" };
    let new = format!("    {direction} {} {stub};", port.range);
    replaced(&with_port(text, stub), &old, &new)
}

/// Adds a port to `text` that its instance `name` of `module` has as `inner`.
fn passed_on(
    text: &str,
    module: &str,
    name: &str,
    inner: &str,
    port: &Port,
) -> Result<String, Box<dyn Error>> {
    let outer = format!("{name}${inner}");
    let head = format!("    {module} {name}(\n");
    let text = replaced(text, &head, &format!("{head}        .{inner}({outer}),\n"))?;
    let direction = if port.input { "output" } else { "input" };
    let declaration = format!(");\n    {direction} wire {} {outer};\n", port.range);
    let text = with_port(&text, &outer);
    let at = text.find(");\n").ok_or("a module without ports")?;
    Ok(format!("{}{declaration}{}", &text[..at], &text[at + 3..]))
}

fn with_port(text: &str, name: &str) -> String {
    text.replacen('(', &format!("({name},"), 1)
}

fn replaced(text: &str, old: &str, new: &str) -> Result<String, Box<dyn Error>> {
    match text.matches(old).count() {
        1 => Ok(text.replacen(old, new, 1)),
        n => Err(format!("{n} times, not once: {old}").into()),
    }
}

/// Conditions, of which one holds at a clock edge that changes `module` or a block in it.
fn collect_changes(
    modules: &BTreeMap<&str, &str>,
    module: &str,
    path: &str,
    changes: &mut Vec<String>,
) -> Result<(), Box<dyn Error>> {
    let text = *modules.get(module).ok_or_else(|| format!("no module {module}"))?;
    for instance in instances(text) {
        let path = format!("{path}.{}", instance.name);
        collect_changes(modules, instance.module, &path, changes)?;
    }
    let Some(edge) = text.find("@(posedge clock)") else { return Ok(()) };
    for line in text[edge..].lines().filter(|line| line.contains("<=")) {
        let line = line.trim().trim_start_matches("always @(posedge clock) ");
        let line = line.trim_start_matches("@(posedge clock) ");
        let read = line.trim_start_matches("if (read_enable) ");
        if line == "q <= d;" {
            changes.push(format!("({path}.q != {path}.d)"));
        } else if line.starts_with("if (write_enable) mem[")
            || line.starts_with("if (write_enable) keys[")
        {
            changes.push(format!("{path}.write_enable"));
        } else if line.starts_with("if (read_enable && write_enable && ") {
            // What a read of the entry being written gives: that it is written is a change already.
        } else if let Some(index) = read.strip_prefix("read_data <= mem[read_address") {
            let index = index.strip_suffix("];").ok_or("a read without an end")?;
            let data = format!("({path}.read_data != {path}.mem[{path}.read_address{index}])");
            let enabled = read.len() != line.len();
            changes.push(match enabled {
                true => format!("({path}.read_enable && {data})"),
                false => data,
            });
        } else {
            return Err(
                format!("{module} keeps something in a way that is not known: {line}").into()
            );
        }
    }
    Ok(())
}

/// The member of a Verilated class that is this pin.
fn member(pin: &str) -> String {
    pin.replace('$', "__024")
}

fn write_join(
    join: &mut String,
    cut: &Cut,
    flat: &str,
    ports: &[Port],
) -> Result<(), Box<dyn Error>> {
    let pin = |port: &str| member(&format!("{flat}${port}"));
    let known = |name: &str| ports.iter().any(|port| port.name == name);
    for (valid, payload) in cut.payloads {
        if let Some(name) = payload.iter().chain([valid]).find(|name| !known(name)) {
            return Err(format!("{} has no port {name}", cut.path).into());
        }
    }
    for port in ports {
        let name = pin(&port.name);
        if !port.input {
            writeln!(join, "    wire.out(busy.{name}, resting.{name});")?;
            continue;
        }
        let valid = cut.payloads.iter().find(|(_, payload)| payload.contains(&port.name.as_str()));
        match valid {
            Some((valid, _)) => {
                let input = ports.iter().any(|port| port.input && port.name == *valid);
                let model = if input { "busy" } else { "resting" };
                writeln!(
                    join,
                    "    if ({model}.{}) wire.in(busy.{name}, resting.{name});",
                    pin(valid)
                )?
            }
            None => writeln!(join, "    wire.in(busy.{name}, resting.{name});")?,
        }
    }
    Ok(())
}

/// Whether a Verilated model, whose C++ this is, waits for its clock alone. Verilator may find no
/// other way to order some processes than to evaluate them until nothing changes.
pub fn waits_for_its_clock_alone(class: &str, cpp: &str) -> bool {
    let only = |function: &str, triggers: &str| {
        let head = format!("\nvoid {class}___024root___{function}({class}___024root* vlSelf) {{\n");
        cpp.split_once(&head).and_then(|(_, rest)| rest.split_once("\n}")).is_some_and(
            |(body, _)| {
                body.matches("Triggered").count() == 1
                    && body.contains(&format!("if ((1ULL & vlSelfRef.{triggers}[0U])) {{"))
            },
        )
    };
    only("eval_ico", "__VicoTriggered")
        && only("eval_nba", "__VnbaTriggered")
        && !cpp.contains(&format!("{class}___024root___eval_act("))
}

/// What [`header`] is made of.
pub const HEADER: &str = "// Written by the build script.
#pragma once
#include \"VNAME.h\"
#include \"VNAME___024root.h\"
#include \"VNAME_resting.h\"
#include \"VNAME_resting___024root.h\"
#include \"split.h\"
BUSY_KIND(VNAME)
RESTING_KIND(VNAME_resting)
struct NAME_join {
    template <class Busy, class Resting, class Wire>
    static void pins(Busy& busy, Resting& resting, Wire wire) {
JOIN    }
};
using NAME_split = Split<VNAME_clocked, VNAME_resting_clocked, NAME_join>;
extern template class Split<VNAME_clocked, VNAME_resting_clocked, NAME_join>;
";

/// The C++ header of a component whose two models are the classes `V{name}` and `V{name}_resting`: the
/// type `{name}_split`. `simple` says which of both wait for their clock alone.
pub fn header(name: &str, join: &str, simple: [bool; 2]) -> String {
    let [busy, resting] = simple.map(|simple| match simple {
        true => "SINGLE_CLOCK_MODEL",
        false => "EVALUATED_MODEL",
    });
    let header = HEADER.replace("BUSY_KIND", busy).replace("RESTING_KIND", resting);
    header.replace("NAME", name).replace("JOIN", join)
}

/// The C++ source of what [`header`] declares.
pub fn source(name: &str) -> String {
    format!(
        "#include \"{name}_split.h\"\n\
         template class Split<V{name}_clocked, V{name}_resting_clocked, {name}_join>;\n"
    )
}
