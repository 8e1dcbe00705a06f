//! Turns `isolation.toml` into what the linker and the code go by: where each part's memory is, and
//! what the core's memory protection lets it do.

#[path = "build/isolation.rs"]
mod isolation;
#[path = "build/pmp.rs"]
mod pmp;

use isolation::{Isolation, Settings};
use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;

/// First byte of the core's memory, and its bytes.
const RAM: (u32, u32) =
    (splitmem_abi::soc::RAM_BASE, splitmem_abi::soc::SocConfig::DEFAULT.ram_bytes());
/// Bytes for code, constants and initial values.
const CODE: u32 = 80 << 10;
/// Where execution begins after reset, from the memory's begin on.
const RESET: u32 = splitmem_abi::soc::RESET_VECTOR - RAM.0;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=isolation.toml");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let settings = Settings::read("isolation.toml", RAM.0 + CODE, RAM.0 + RAM.1)?;
    println!("cargo::rustc-check-cfg=cfg(isolation, values(\"none\", \"guards\", \"full\"))");
    println!("cargo::rustc-cfg=isolation=\"{}\"", settings.isolation.name());

    std::fs::write(out.join("memory.x"), memory(&settings)?)?;
    println!("cargo::rustc-link-search={}", out.display());
    for script in ["memory.x", "link.x", "defmt.x"] {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    if settings.isolation == Isolation::Full {
        std::fs::write(out.join("compartments.rs"), pmp::code(&settings)?)?;
    }
    Ok(())
}

/// The linker's map: the core's one memory, parted as if it were two, what is loaded and never
/// written, and what is written. Initial values of variables are in the first part, so that a
/// restarted core begins with them again although nobody loads it anew.
fn memory(settings: &Settings) -> Result<String, std::fmt::Error> {
    let mut text = String::from("MEMORY\n{\n");
    let (base, data) = (RAM.0, RAM.0 + CODE);
    writeln!(text, "    CODE (rx) : ORIGIN = {base:#x}, LENGTH = {CODE}")?;
    let whole = settings.isolation != Isolation::Full;
    let kernel = if whole { RAM.1 - CODE } else { settings.kernel };
    writeln!(text, "    DATA (rw) : ORIGIN = {data:#x}, LENGTH = {kernel}")?;
    for part in &settings.parts {
        if !whole {
            let (name, base, bytes) = (part.region(), part.base, part.memory);
            writeln!(text, "    {name} (rw) : ORIGIN = {base:#x}, LENGTH = {bytes}")?;
        }
    }
    writeln!(text, "}}\n_stext = ORIGIN(CODE) + {RESET:#x};")?;
    for (alias, region) in [
        ("TEXT", "CODE"),
        ("RODATA", "CODE"),
        ("DATA", "DATA"),
        ("BSS", "DATA"),
        ("HEAP", "DATA"),
        ("STACK", "DATA"),
    ] {
        writeln!(text, "REGION_ALIAS(\"REGION_{alias}\", {region});")?;
    }
    // A part's stack lies at the bottom of its memory: what grows too far leaves it. Its messages
    // come next, at an address that the kernel knows.
    text.push_str("SECTIONS\n{\n");
    for part in &settings.parts {
        let (name, stack, region) = (&part.name, part.stack, part.region());
        let (skip, region) = match whole {
            true => (0, "DATA"),
            false => (stack + isolation::MESSAGE, region.as_str()),
        };
        writeln!(
            text,
            "    .{name} (NOLOAD) : ALIGN(16) {{ . += {skip}; *(.{name} .{name}.*) }} > {region}"
        )?;
    }
    text.push_str("}\nINSERT AFTER .uninit;\n");
    Ok(text)
}
