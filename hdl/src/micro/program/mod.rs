//! The microprogram.
//!
//! It goes round a loop: a register access if one waits, the request if one does, a page of the table
//! engine's command, a line of a frame to be cleared. Each of these is one step to all others: what it
//! does, it has done when the next begins. So a request meets no table half written, and there is
//! nothing to wait for in a shootdown but what it drops.
//!
//! | part | what it does |
//! | --- | --- |
//! | `access` | register accesses, and the step of each register |
//! | `request` | a native request from its checks to its answer |
//! | `find` | a page's bucket, and its entry there |
//! | `table` | the table engine |
//! | `frames` | the zeroing engine and the free list |
//! | `report` | the event log and the interrupts |

mod access;
mod find;
mod frames;
mod report;
mod request;
mod table;

use super::assembler::Assembler;
use super::layout::*;
use super::word::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::regs;

pub use access::register_words;

/// Bits of [`WORK`].
mod work {
    pub const REQUEST: u8 = 1;
    pub const CLEAR: u8 = 2;
    pub const TABLE: u8 = 3;
}

/// The mask of one bit.
const fn bit(bit: u8) -> u16 {
    1 << bit
}

/// The microprogram, its names resolved.
pub fn assemble() -> Assembler {
    let mut program = Assembler::default();
    start(&mut program);
    access::steps(&mut program);
    request::steps(&mut program);
    find::steps(&mut program);
    table::steps(&mut program);
    frames::steps(&mut program);
    report::steps(&mut program);
    program
}

/// Reset, and the loop.
fn start(program: &mut Assembler) {
    program.steps([constant(0).to_x()]);
    program.named("clear scratch", [constant(0).put_at(0).next_x().in_scratch("clear scratch")]);
    for register in regs::ALL {
        let value = register.reset_value(&HwConfig::MICRO).unwrap_or(0);
        for (half, at) in [(value as u16, low(register)), ((value >> 16) as u16, high(register))] {
            if half != 0 {
                program.steps([constant(half).put(at)]);
            }
        }
    }
    program.steps([
        constant(answer_last(0)).put(ANSWER_LAST),
        nothing().call("size table"),
        constant(0).irq_monitor().irq_host(),
    ]);
    // What is no read, or is denied, reads zero.
    program.named("idle", [constant(0).read_low().read_high().access("access")]);
    program.named(
        "work",
        [
            get(WORK).zero("idle"),
            get(WORK).clear(work::REQUEST, "work on table"),
            get(low(&regs::CONTROL)).set(0, "request"),
        ],
    );
    program.named("work on table", [get(WORK).set(work::TABLE, "table")]);
    program.named("work on frames", [get(WORK).set(work::CLEAR, "clear"), nothing().go("idle")]);
}

#[cfg(test)]
mod flow;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_named_and_every_register_has_its_steps() {
        let program = assemble();
        println!("{} steps", program.words().len());
        assert_eq!(register_words(&program).len(), 256);
    }
}
