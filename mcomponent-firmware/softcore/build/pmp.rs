//! Entries of the core's memory protection (RISC-V privileged specification, 3.7).

use crate::isolation::{Part, Settings, Window};
use splitmem_abi::regs::WINDOW_BYTES;
use splitmem_abi::soc::COMPONENT_BASE;
use std::error::Error;
use std::fmt::Write;

/// Entries that the core has.
const ENTRIES: usize = 16;
/// The first ones are the same for all: code (two), the guard below the kernel's stack, and all
/// registers of the component, for who takes it into use.
const SHARED: usize = 4;

const READ: u32 = 1;
const WRITE: u32 = 1 << 1;
const TOP_OF_RANGE: u32 = 1 << 3;
const NAPOT: u32 = 3 << 3;
const FOUR_BYTES: u32 = 2 << 3;

/// Address and configuration of the entries that a window takes: one if it is a power of two and
/// aligned to it, else two.
fn entries(window: Window) -> Vec<(u32, u32)> {
    let rights = READ | if window.write { WRITE } else { 0 };
    let bytes = window.end - window.base;
    match bytes {
        4 => vec![(window.base >> 2, rights | FOUR_BYTES)],
        _ if bytes.is_power_of_two() && window.base % bytes == 0 => {
            vec![(window.base >> 2 | (bytes / 8 - 1), rights | NAPOT)]
        }
        _ => vec![(window.base >> 2, 0), (window.end >> 2, rights | TOP_OF_RANGE)],
    }
}

fn windows(part: &Part) -> Vec<Window> {
    let memory = Window { base: part.base, end: part.base + part.memory, write: true };
    std::iter::once(memory).chain(part.registers.iter().copied()).collect()
}

/// The table of compartments as Rust.
pub fn code(settings: &Settings) -> Result<String, Box<dyn Error>> {
    let all =
        Window { base: COMPONENT_BASE, end: COMPONENT_BASE + u32::from(WINDOW_BYTES), write: true };
    let [(window, start)] = entries(all)[..] else {
        return Err("the register window moved".into());
    };
    let mut addresses = vec![(SHARED - 1, window)];
    let mut next = SHARED;
    let mut table = String::new();
    for part in &settings.parts {
        let mut words = [0u32; ENTRIES / 4];
        for (address, configuration) in windows(part).into_iter().flat_map(entries) {
            if next == ENTRIES {
                return Err(format!(
                    "isolation.toml: the core has {ENTRIES} PMP entries, and '{}' would need more. A \
                     window takes one if it is a power of two and aligned to it, else two.",
                    part.name
                )
                .into());
            }
            addresses.push((next, address));
            words[next / 4] |= configuration << (8 * (next % 4));
            next += 1;
        }
        let calls = part.calls.iter().fold(0u32, |mask, &callee| mask | 1 << callee);
        writeln!(
            table,
            "    Rights {{ base: {:#x}, end: {:#x}, stack: {:#x}, pmp: [{:#x}, {:#x}, {:#x}], \
             calls: {calls:#b}, waits: {}, start: {:#x} }},",
            part.base,
            part.base + part.memory,
            part.base + part.stack,
            words[1],
            words[2],
            words[3],
            part.waits,
            if part.starts { start << (8 * (SHARED - 1)) } else { 0 },
        )?;
    }
    let mut text = format!(
        "/// What each compartment may do.\npub static RIGHTS: [Rights; {}] = [\n{table}];\n\n",
        settings.parts.len()
    );
    text.push_str("/// Writes the addresses of all entries, which stay as they are.\n");
    text.push_str("#[rustfmt::skip]\nfn set_addresses() {\n");
    text.push_str("    // SAFETY: an entry without a configuration does nothing.\n    unsafe {\n");
    for (entry, address) in addresses {
        writeln!(
            text,
            "        core::arch::asm!(\"csrw pmpaddr{entry}, {{0}}\", in(reg) {address:#x}usize);"
        )?;
    }
    text.push_str("    }\n}\n");
    Ok(text)
}
