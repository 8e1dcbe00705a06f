//! The soft core's JTAG port for debuggers on this or another machine: the remote protocol of the
//! Black Magic Probe, over TCP. `probe-rs` and `openocd` speak it; to them the simulated board is a
//! probe with a chip on it.
//!
//! A packet is `!...#`, the reply `&K...#` or `&E...#`. What is served: identification, JTAG
//! sequences (`J...`), the questions about clock and power.

use super::debugger::Scan;
use super::SoftCore;
use crate::dram::LineMemory;
use crate::machine::Machine;

/// Version of the remote protocol that is spoken.
const PROTOCOL: &str = "&K4#";
/// Bits of one sequence at most.
const BITS: u32 = 64;

/// One debugger's connection: bytes in, bytes out.
#[derive(Debug, Default)]
pub struct Remote {
    packet: Option<String>,
    bits: u64,
}

impl Remote {
    /// Packets so far were this many JTAG clocks.
    pub fn bits(&self) -> u64 {
        self.bits
    }

    /// Takes what came from the debugger; gives what goes back. The machine ticks meanwhile.
    pub fn serve<M: LineMemory>(&mut self, machine: &mut Machine<M>, bytes: &[u8]) -> Vec<u8> {
        let mut replies = Vec::new();
        for &byte in bytes {
            match (byte, &mut self.packet) {
                (b'!', packet) => *packet = Some(String::new()),
                (b'#', packet) => {
                    if let Some(packet) = packet.take() {
                        replies.extend(self.answer(machine, &packet).into_bytes());
                    }
                }
                // What is longer than any packet is none.
                (_, Some(packet)) if packet.len() < 64 => packet.push(char::from(byte)),
                (_, packet) => *packet = None,
            }
        }
        replies
    }

    fn answer<M: LineMemory>(&mut self, machine: &mut Machine<M>, packet: &str) -> String {
        let ok = "&K0#".to_owned();
        let Some(kind) = packet.get(..2) else { return "&E1#".to_owned() };
        let rest = packet.get(2..).unwrap_or("");
        match kind {
            "GA" => "&KSplitmem simulated board#".to_owned(),
            "HC" => PROTOCOL.to_owned(),
            "GV" => "&K3.3V#".to_owned(),
            "GF" => "&K1000000#".to_owned(),
            "Gf" => "&Kf4240#".to_owned(),
            "JS" | "SS" => {
                // To Test-Logic-Reset, then to Run-Test/Idle.
                for _ in 0..8 {
                    self.clock(machine, true, false);
                }
                self.clock(machine, false, false);
                ok
            }
            "JR" => {
                reset(machine, true);
                pass(machine, 8 * SoftCore::JTAG_CYCLES);
                reset(machine, false);
                ok
            }
            "JT" => match sequence(rest) {
                Some((count, tms)) => {
                    for i in 0..count {
                        self.clock(machine, tms >> i & 1 == 1, false);
                    }
                    ok
                }
                None => "&E1#".to_owned(),
            },
            "Jd" | "JD" => match sequence(rest) {
                Some((count, tdi)) => {
                    let mut tdo = 0;
                    for i in 0..count {
                        let last = kind == "JD" && i + 1 == count;
                        tdo |= u64::from(self.clock(machine, last, tdi >> i & 1 == 1)) << i;
                    }
                    format!("&K{tdo:x}#")
                }
                None => "&E1#".to_owned(),
            },
            "JN" => {
                let mut levels = rest.chars().map(|c| c == '1');
                let (tms, tdi) = (levels.next() == Some(true), levels.next() == Some(true));
                format!("&K{:x}#", self.clock(machine, tms, tdi) as u8)
            }
            "JC" => {
                let mut levels = rest.chars().map(|c| c == '1');
                let (tms, tdi) = (levels.next() == Some(true), levels.next() == Some(true));
                match rest.get(2..).and_then(|n| u32::from_str_radix(n, 16).ok()) {
                    Some(count) => {
                        for _ in 0..count.min(1 << 16) {
                            self.clock(machine, tms, tdi);
                        }
                        ok
                    }
                    None => "&E1#".to_owned(),
                }
            }
            // What else a probe may be asked for and need not have: accelerators, power, pins.
            "HA" | "HJ" => ok,
            _ if kind.starts_with('G') => ok,
            _ => "&E0#".to_owned(),
        }
    }

    fn clock<M: LineMemory>(&mut self, machine: &mut Machine<M>, tms: bool, tdi: bool) -> bool {
        self.bits += 1;
        clock(machine, tms, tdi)
    }
}

/// The port itself, for a debugger in this process.
pub struct Wires<'a, M>(pub &'a mut Machine<M>);

impl<M: LineMemory> Scan for Wires<'_, M> {
    type Error = std::convert::Infallible;

    fn tms(&mut self, count: u32, bits: u64) -> Result<(), Self::Error> {
        for i in 0..count {
            clock(self.0, bits >> i & 1 == 1, false);
        }
        Ok(())
    }

    fn shift(&mut self, count: u32, bits: u64) -> Result<u64, Self::Error> {
        let mut out = 0;
        for i in 0..count {
            out |= u64::from(clock(self.0, i + 1 == count, bits >> i & 1 == 1)) << i;
        }
        Ok(out)
    }
}

/// One clock of JTAG; gives TDO as it stood before the rising edge.
fn clock<M: LineMemory>(machine: &mut Machine<M>, tms: bool, tdi: bool) -> bool {
    let tdo = pins(machine, false, tms, tdi);
    pass(machine, SoftCore::JTAG_CYCLES);
    pins(machine, true, tms, tdi);
    pass(machine, SoftCore::JTAG_CYCLES);
    tdo
}

/// Count of two hexadecimal digits and the bits after them.
fn sequence(text: &str) -> Option<(u32, u64)> {
    let count = u32::from_str_radix(text.get(..2)?, 16).ok()?;
    let bits = text.get(2..).filter(|bits| !bits.is_empty()).unwrap_or("0");
    let bits = u64::from_str_radix(bits, 16).ok()?;
    (count <= BITS).then_some((count, bits))
}

fn pins<M: LineMemory>(machine: &mut Machine<M>, tck: bool, tms: bool, tdi: bool) -> bool {
    let cycle = machine.cycle();
    machine.core_mut().is_some_and(|core| core.jtag(cycle, tck, tms, tdi))
}

fn reset<M: LineMemory>(machine: &mut Machine<M>, on: bool) {
    if let Some(core) = machine.core_mut() {
        core.jtag_reset(on);
    }
}

fn pass<M: LineMemory>(machine: &mut Machine<M>, cycles: u64) {
    for _ in 0..cycles {
        machine.tick();
    }
}
