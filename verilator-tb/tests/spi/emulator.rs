//! The firmware's ELF file in an emulator of the RP2040, with the Verilated bridge at its pins.

use crate::host::{self, Mind};
use crate::spi_wire::Pace;
use crate::world::{Faults, World};
use splitmem_abi::regs::{field, CONTROL};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use verilator_tb::{BusAccess, Hw};

/// Cycles of the FPGA's clock in a microsecond, on the pico-ice.
const CYCLES_PER_US: f64 = 12.0;

/// The emulator; `run.mjs` says what its messages mean.
struct Emulated {
    child: Child,
    says: ChildStdout,
    hears: ChildStdin,
    world: World,
}

impl Mind for Emulated {
    fn step(&mut self) {
        let mut message = [0; 5];
        self.says.read_exact(&mut message).expect("the emulator goes on");
        let [operation, number @ ..] = message;
        let number = u32::from_le_bytes(number);
        let world = &self.world;
        let byte = world.wire(|wire| {
            match operation {
                b's' => wire.select(),
                b'x' => return wire.byte(number as u8),
                b'd' => wire.deselect(),
                b't' => wire.wait(f64::from(number) * CYCLES_PER_US),
                other => panic!("the emulator says {other}"),
            }
            0
        });
        let reply = [byte, u8::from(world.irq())];
        self.hears.write_all(&reply).expect("the emulator goes on");
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it takes to run the firmware: the emulator's folder, and the firmware. What is missing otherwise.
fn found() -> Result<(PathBuf, PathBuf), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tools = std::env::var_os("SPLITMEM_TOOLS").map_or(root.join(".tools"), PathBuf::from);
    let modules = tools.join("node_modules");
    let elf = root.join("target/firmware/thumbv6m-none-eabi/release/splitmem-rp2040");
    if !modules.join("rp2040js").is_dir() {
        return Err(format!("no rp2040js in {}: scripts/setup.sh emulator", modules.display()));
    }
    if !elf.is_file() {
        return Err(format!("no {}: make companion", elf.display()));
    }
    Ok((modules, elf))
}

#[test]
fn the_firmware_of_the_rp2040_serves_a_host() {
    let (modules, elf) = match found() {
        Ok(found) => found,
        Err(missing) => {
            // Past the test harness, which would keep it to itself.
            let told = writeln!(std::io::stderr(), "SKIPPED, the RP2040's firmware: {missing}");
            return told.unwrap();
        }
    };
    // What the FPGA is configured with is only compared.
    let mut bitstream = b"\xFF\x00a test\x00\x00\xFF\x7E\xAA\x99\x7E".to_vec();
    bitstream.extend((0..2000).map(|i| (i * 37) as u8));
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pico-ice.bin");
    std::fs::write(&file, bitstream).unwrap();

    let frames = 1 << (Hw::Small.config().pa_bits - 12);
    let world = World::new(40, frames, Pace::FASTEST, Faults::NONE);
    let script =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../mcomponent-firmware/rp2040/emulator/run.mjs");
    let mut child = Command::new("node")
        .arg(script)
        .args([&modules, &elf, &file])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start node");
    let (says, hears) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let mut mind = Emulated { child, says, hears, world: world.clone() };
    host::serve(&world, &mut mind, |world| {
        let mut enabled = false;
        world.accesses(|seen| {
            enabled = seen.last().is_some_and(|(access, _)| {
                *access == BusAccess::Write(CONTROL.offset, field::CONTROL::ENABLE.mask())
            });
        });
        enabled
    });
    println!("booted after {} us", world.cycles() as f64 / CYCLES_PER_US);
    host::uses_memory(&world, &mut mind, 70);
    println!("{} us", world.cycles() as f64 / CYCLES_PER_US);
}
