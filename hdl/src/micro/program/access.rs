//! Register accesses: the step of each register for a read and for a write.
//!
//! The access stands still until it is done, so its halves can be taken at any time. X is the scratch
//! address of the register's low half.

use super::*;
use splitmem_abi::regs::{Access, Register};
use splitmem_abi::window;

/// Bits of [`Source::Access`]; the low ones are the scratch address.
const HOST: u8 = 13;
const READS_ZERO: u8 = 14;
const ALLOWED: u8 = 15;
/// The scratch address in it.
const ADDRESS: u16 = 0x1ff;

/// A register whose reads or writes are more than a copy: its steps for both.
struct Special(&'static Register, &'static str, &'static str);

const SPECIAL: &[Special] = &[
    Special(&regs::CONTROL, "read", "write control"),
    Special(&regs::STATUS, "read status", "denied"),
    Special(&regs::TABLE_BASE, "read", "write table base"),
    Special(&regs::TABLE_SIZE, "read", "write table size"),
    Special(&regs::IRQ_STATUS, "read", "write irq status"),
    Special(&regs::IRQ_MASK, "read", "write irq mask"),
    Special(&regs::HOST_IRQ_STATUS, "read", "write host irq status"),
    Special(&regs::HOST_IRQ_MASK, "read", "write irq mask"),
    Special(&regs::ZERO_PUSH, "denied", "push frames"),
    Special(&regs::FREE_4K_LOW, "read", "write low"),
    Special(&regs::FREE_2M_LOW, "read", "write low"),
    Special(&regs::FREE_4K_POP, "pop frame", "denied"),
    Special(&regs::TE_COMMAND, "denied", "start table"),
    Special(&regs::TE_RESULT, "pop result", "denied"),
    Special(&regs::SD_COMMAND, "denied", "shoot down"),
    Special(&regs::EVENT, "read event", "denied"),
    Special(&regs::EVENT_POP, "denied", "pop event"),
    Special(&regs::MB_COMMAND, "read", "write mailbox"),
    Special(&regs::MB_DOORBELL, "read", "ring doorbell"),
    Special(&regs::MB_PAYLOAD, "read", "write mailbox"),
    Special(&window::RQ_GO, "denied", "start request"),
    Special(&window::RQ_DATA, "read answer", "write request"),
];

/// What hardware looks up for each register of the first 1 KiB, by its word address:
///
/// | bits | what |
/// | --- | --- |
/// | 9..=0 | step that reads it |
/// | 19..=10 | step that writes it |
/// | 20, 21 | the monitor may read it, may write it |
/// | 22, 23 | the host may read it, may write it |
/// | 31..=24 | zero |
/// | 63..=32 | bits that it has |
pub fn register_words(program: &Assembler) -> Vec<u64> {
    let mut words = vec![0; 256];
    for register in regs::ALL.iter().chain(window::ALL) {
        let special = SPECIAL.iter().find(|special| special.0.offset == register.offset);
        let plain = Special(register, "read", "write");
        let request = Special(register, "read", "write request");
        let in_window = window::ALL.iter().any(|ours| ours.offset == register.offset);
        let Special(_, read, write) = special.unwrap_or(if in_window { &request } else { &plain });
        let rights = [
            register.monitor.reads(),
            register.monitor.writes(),
            register.host.reads(),
            register.host.writes(),
        ];
        let mut word = program.address(read) as u64
            | (program.address(write) as u64) << 10
            | (register.mask() as u64) << 32;
        for (i, right) in rights.into_iter().enumerate() {
            word |= (right as u64) << (20 + i);
        }
        for i in 0..register.count {
            // Those behind are read-only and zero.
            if let Some(entry) = words.get_mut(register.at(i) as usize / 4) {
                *entry = word;
            } else {
                assert_eq!((register.monitor, register.host), (Access::Ro, Access::Ro));
            }
        }
    }
    words
}

pub(super) fn steps(program: &mut Assembler) {
    program.named(
        "access",
        [take(Source::Access).to_x().clear(ALLOWED, "not allowed"), nothing().register()],
    );
    program.named("not allowed", [take(Source::Access).set(READS_ZERO, "done")]);
    program.named("denied", [nothing().denied().go("work")]);
    program.named("done", [nothing().done().go("work")]);
    program.named("read", [at(0).read_low(), at(1).read_high().done().go("work")]);
    program.named(
        "write",
        [take(Source::WriteLow).put_at(0), take(Source::WriteHigh).put_at(1).done().go("work")],
    );
    // With interrupts to look at before it is over.
    program.named("settle", [nothing().call("raise levels"), nothing().done().go("work")]);
    program.named("settle lines", [nothing().call("raise lines"), nothing().done().go("work")]);
    switches(program);
    shootdown(program);
    mailbox(program);
    window(program);
}

fn switches(program: &mut Assembler) {
    // CLEAR_STATS reads zero: there are no statistics.
    program.named(
        "write control",
        [
            constant(1).to_a(),
            take(Source::WriteLow).and().put(low(&regs::CONTROL)).done().go("work"),
        ],
    );
    program.named(
        "read status",
        [
            get(WORK).to_a(),
            // READY; and IDLE, which says that no request waits.
            constant(bit(0) | bit(work::REQUEST)).xor().read_low(),
            constant(0).read_high().done().go("work"),
        ],
    );
    program.named(
        "write table base",
        [
            take(Source::WriteLow).put_at(0).to_a(),
            take(Source::WriteHigh).put_at(1),
            constant(0).place().put(TABLE_AT).done().go("work"),
        ],
    );
    program.named(
        "write table size",
        [
            take(Source::WriteLow).put_at(0),
            nothing().call("size table"),
            nothing().done().go("work"),
        ],
    );
    // T0 times: another bucket bit.
    program.named(
        "size table",
        [constant(0).put(TABLE_MASK), get(low(&regs::TABLE_SIZE)).to_a(), a().put(T0)],
    );
    program.named(
        "bucket bit",
        [
            get(T0).zero("sized"),
            get(T0).decrement().same(),
            get(TABLE_MASK).to_a(),
            get(TABLE_MASK).add().to_a(),
            constant(32).add().put(TABLE_MASK).go("bucket bit"),
        ],
    );
    program.named("sized", [nothing().back()]);
    program.named(
        "write irq status",
        [take(Source::WriteLow).to_a(), get(low(&regs::IRQ_STATUS)).without().same().go("settle")],
    );
    program.named(
        "write host irq status",
        [
            take(Source::WriteLow).to_a(),
            get(low(&regs::HOST_IRQ_STATUS)).without().same().go("settle lines"),
        ],
    );
    program.named(
        "write irq mask",
        [take(Source::WriteLow).put_at(0), take(Source::WriteHigh).put_at(1).go("settle lines")],
    );
    program.named(
        "write low",
        [take(Source::WriteLow).put_at(0), take(Source::WriteHigh).put_at(1).go("settle")],
    );
}

/// No request is under way while a register is accessed: all there is to end is the translation held.
fn shootdown(program: &mut Assembler) {
    program.named(
        "shoot down",
        [
            take(Source::CycleLow).to_a(),
            take(Source::WriteLow).zero("done"),
            constant(0).put(HELD),
            take(Source::CycleLow).subtract().put(low(&regs::SD_CYCLES)),
            constant(regs::field::IRQ_STATUS::SD_DONE.mask() as u16).to_a(),
            get(low(&regs::IRQ_STATUS)).or().same().go("settle"),
        ],
    );
}

fn mailbox(program: &mut Assembler) {
    program.named(
        "write mailbox",
        [
            take(Source::Access).clear(HOST, "write"),
            get(low(&regs::MB_DOORBELL)).set(0, "denied"),
            nothing().go("write"),
        ],
    );
    program.named(
        "ring doorbell",
        [
            take(Source::WriteLow).clear(0, "done"),
            take(Source::Access).clear(HOST, "answer doorbell"),
            get(low(&regs::MB_DOORBELL)).set(0, "done"),
            constant(1).put(low(&regs::MB_DOORBELL)),
            constant(regs::field::IRQ_STATUS::DOORBELL.mask() as u16).to_a(),
            get(low(&regs::IRQ_STATUS)).or().same().go("settle"),
        ],
    );
    program.named(
        "answer doorbell",
        [
            get(low(&regs::MB_DOORBELL)).clear(0, "done"),
            constant(0).put(low(&regs::MB_DOORBELL)),
            constant(regs::field::HOST_IRQ_STATUS::REPLY.mask() as u16).to_a(),
            get(low(&regs::HOST_IRQ_STATUS)).or().same().go("settle lines"),
        ],
    );
}

fn window(program: &mut Assembler) {
    program.named(
        "write request",
        [get(low(&window::RQ_STATUS)).set(0, "denied"), nothing().go("write")],
    );
    program.named(
        "start request",
        [
            get(low(&window::RQ_STATUS)).set(0, "denied"),
            constant(1).put(low(&window::RQ_STATUS)),
            get(high(&window::RQ_HEAD)).to_a(),
            a().put(high(&window::RQ_STATUS)),
            constant(bit(work::REQUEST)).to_a(),
            get(WORK).or().same().done().go("work"),
        ],
    );
    program.named(
        "read answer",
        [
            take(Source::Access).to_a(),
            constant(ADDRESS).and().to_a(),
            get(ANSWER_LAST).subtract().no_carry("done"),
            at(ANSWER).read_low(),
            at(ANSWER | 1).read_high().done().go("work"),
        ],
    );
}
