//! Tells the linker where the core's memory is, and the code what `isolation.toml` says.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rerun-if-changed=isolation.toml");
    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    for script in ["memory.x", "link.x", "defmt.x"] {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    let settings: toml::Table = std::fs::read_to_string("isolation.toml")?.parse()?;
    match settings.get("isolation").and_then(|value| value.as_str()) {
        Some("none") => {}
        Some("guards") => println!("cargo::rustc-cfg=guards"),
        _ => return Err("isolation.toml: isolation is none or guards".into()),
    }
    Ok(())
}
