//! The register reference, a page of the book.

use super::prose;
use crate::config::HwConfig;
use crate::regs::{Access, Counter, Register, ALL, WINDOW_BYTES};
use std::fmt::Write as _;

/// The register reference as a page of Markdown, with the reset values of a component of these
/// parameters, which `name` names ("large").
pub fn markdown(config: &HwConfig, name: &str) -> String {
    let mut page = format!(
        "# Registers\n\n\
         <!-- Printed from the `abi` crate by `splitmem abi docs`. -->\n\n\
         32-bit registers in a window of {} KiB. Two buses reach it: the monitor's and the host's. \
         Bits that no field names read zero. An access that a side may not make, or to an address \
         where nothing stands, changes nothing, reads zero and raises the bus's error. Reset \
         values are those of the {name} configuration; where none stands, the register follows \
         the hardware's state or cannot be read.\n\n\
         | Access | Meaning |\n| --- | --- |\n",
        WINDOW_BYTES / 1024
    );
    for access in [Access::Ro, Access::Rw, Access::Wo, Access::W1c, Access::Pop, Access::None] {
        line(&mut page, format_args!("| {} | {} |", label(access), meaning(access)));
    }
    page.push_str(
        "\n## Overview\n\n| Offset | Register | Monitor | Host | Reset |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for register in ALL {
        line(
            &mut page,
            format_args!(
                "| {} | [{}](#{}) | {} | {} | {} |",
                offsets(register),
                register.name,
                register.name.to_lowercase(),
                label(register.monitor),
                label(register.host),
                reset(register, config)
            ),
        );
    }
    page.push_str("\n## Each register\n");
    for register in ALL {
        section(&mut page, register, config);
    }
    page.push_str(
        "\n## The counters\n\nIn the window of [COUNTERS](#counters), 64 bits each.\n\n\
         | Offset | Counter |\n| --- | --- |\n",
    );
    for (counter, name) in Counter::ALL {
        line(&mut page, format_args!("| `{:#05x}` | {name} |", counter.offset()));
    }
    page
}

fn section(page: &mut String, register: &Register, config: &HwConfig) {
    line(page, format_args!("\n### {}\n\n{}\n", register.name, prose(register)));
    line(
        page,
        format_args!(
            "Offset {}. Monitor: {}. Host: {}. Reset: {}.",
            offsets(register),
            label(register.monitor),
            label(register.host),
            reset(register, config)
        ),
    );
    if register.fields.is_empty() {
        return;
    }
    page.push_str("\n| Bits | Field | Meaning |\n| --- | --- | --- |\n");
    for field in register.fields {
        let top = field.lsb + field.width - 1;
        let bits = match field.width {
            1 => format!("{top}"),
            _ => format!("{top}:{}", field.lsb),
        };
        line(page, format_args!("| {bits} | {} | {} |", field.name, field.doc));
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "{text}");
}

fn offsets(register: &Register) -> String {
    let first = register.offset;
    match register.count {
        1 => format!("`{first:#05x}`"),
        n => format!("`{first:#05x}` to `{:#05x}` ({n})", register.at(n - 1)),
    }
}

fn reset(register: &Register, config: &HwConfig) -> String {
    let readable = register.monitor.reads() || register.host.reads();
    match register.reset_value(config) {
        Some(value) if readable => format!("`{value:#010x}`"),
        _ => "none".into(),
    }
}

const fn label(access: Access) -> &'static str {
    match access {
        Access::None => "none",
        Access::Ro => "ro",
        Access::Rw => "rw",
        Access::Wo => "wo",
        Access::W1c => "w1c",
        Access::Pop => "pop",
    }
}

const fn meaning(access: Access) -> &'static str {
    match access {
        Access::None => "Neither read nor written",
        Access::Ro => "Read",
        Access::Rw => "Read and written",
        Access::Wo => "Written",
        Access::W1c => "Read; writing one to a bit clears it",
        Access::Pop => "Read, which takes the value out of its queue",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text between a heading and the next one.
    fn under<'a>(page: &'a str, heading: &str) -> &'a str {
        let start = page.find(&format!("\n{heading}\n")).expect(heading) + heading.len() + 2;
        let rest = &page[start..];
        &rest[..rest.find("\n#").unwrap_or(rest.len())]
    }

    #[test]
    fn every_register_and_field_is_described() {
        let page = markdown(&HwConfig::LARGE, "large");
        let overview = under(&page, "## Overview");
        for register in ALL {
            let row = format!("[{0}](#{1})", register.name, register.name.to_lowercase());
            assert_eq!(overview.matches(&row).count(), 1, "{}", register.name);
            let section = under(&page, &format!("### {}", register.name));
            assert!(section.contains(&prose(register)));
            let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| ")).collect();
            let fields = register.fields.len();
            assert_eq!(rows.len(), if fields == 0 { 0 } else { fields + 2 });
            for field in register.fields {
                let cells = format!("| {} | {} |", field.name, field.doc);
                assert!(rows.iter().any(|row| row.ends_with(&cells)), "{}", field.name);
            }
        }
    }

    #[test]
    fn a_section_reads_as_expected() {
        let page = markdown(&HwConfig::LARGE, "large");
        assert_eq!(
            under(&page, "### ZERO_STATUS").trim(),
            "The zeroing engine.\n\n\
             Offset `0x048`. Monitor: ro. Host: none. Reset: `0x00000010`.\n\n\
             | Bits | Field | Meaning |\n| --- | --- | --- |\n\
             | 7:0 | ROOM | Runs that can still be pushed |\n\
             | 8 | BUSY | It has work |\n\
             | 9 | OVERFLOW | A push was dropped since reset |"
        );
        let small = markdown(&HwConfig::SMALL, "small");
        assert!(under(&small, "### ZERO_STATUS").contains("Reset: `0x00000004`"));
        let payload = under(&page, "### MB_PAYLOAD");
        assert!(payload.contains("Offset `0x200` to `0x2fc` (64). Monitor: rw. Host: rw."));
        for unfixed in ["### STATUS", "### TE_COMMAND"] {
            assert!(under(&page, unfixed).contains("Reset: none."));
        }
        assert!(under(&page, "## The counters").contains("| `0x400` | cycles |"));
    }
}
