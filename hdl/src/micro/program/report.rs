//! What is told: the event log, and the interrupts.

use super::*;
use splitmem_abi::regs::field::IRQ_STATUS;
use splitmem_abi::window;

/// Words of an event from one to the next.
const EVENT_WORDS: u16 = 8;
const COUNT: u16 = low(&regs::EVENT_STATUS);
const DROPPED: u16 = high(&regs::EVENT_STATUS);

pub(super) fn steps(program: &mut Assembler) {
    events(program);
    interrupts(program);
}

fn events(program: &mut Assembler) {
    // In: T0, the status that the request is answered with.
    program.named(
        "log",
        [
            constant(EVENT_ENTRIES).to_a(),
            get(COUNT).xor().zero("log full"),
            get(EVENT_TAIL).to_x(),
            get(T0).to_a(),
            // The op code stands in RQ_HEAD where an event has it.
            get(low(&window::RQ_HEAD)).or().to_a(),
            a().put_at(EVENTS),
        ],
    );
    for (i, word) in [PID, VA0, VA1, VA2].into_iter().enumerate() {
        program.steps([get(REQUEST | word).to_a(), a().put_at(EVENTS | (1 + i as u16))]);
    }
    program.steps([constant(0).put_at(EVENTS | 5)]);
    // Again if the low half went round between the two.
    program.named(
        "log cycle",
        [
            take(Source::CycleHigh).to_a(),
            take(Source::CycleLow).put_at(EVENTS | 6),
            take(Source::CycleHigh).xor().not_zero("log cycle"),
            a().put_at(EVENTS | 7),
            get(EVENT_TAIL).to_a(),
            constant(EVENT_WORDS).add().to_a(),
            constant(EVENT_WORDS * (EVENT_ENTRIES - 1)).and().put(EVENT_TAIL),
            get(COUNT).increment().same().back(),
        ],
    );
    program.named("log full", [get(DROPPED).increment().to_a().zero("logged"), a().put(DROPPED)]);
    program.named("logged", [nothing().back()]);

    program.named(
        "read event",
        [
            get(COUNT).zero("done"),
            take(Source::Access).to_a(),
            constant(0x1ff).and().to_a(),
            constant(low(&regs::EVENT).wrapping_neg()).add().to_a(),
            get(EVENT_HEAD).add().to_x(),
            at(EVENTS).read_low(),
            at(EVENTS | 1).read_high().done().go("work"),
        ],
    );
    program.named(
        "pop event",
        [
            get(COUNT).zero("done"),
            get(COUNT).decrement().same(),
            get(EVENT_HEAD).to_a(),
            constant(EVENT_WORDS).add().to_a(),
            constant(EVENT_WORDS * (EVENT_ENTRIES - 1)).and().put(EVENT_HEAD).done().go("work"),
        ],
    );
}

/// The level causes that hold, then the lines.
fn interrupts(program: &mut Assembler) {
    let raise = |cause: regs::Field| {
        [constant(cause.mask() as u16).to_a(), get(low(&regs::IRQ_STATUS)).or().same()]
    };
    program.named(
        "raise levels",
        [
            get(low(&regs::FREE_4K_LOW)).to_a(),
            get(low(&regs::PENDING_4K)).subtract(),
            get(high(&regs::FREE_4K_LOW)).to_a(),
            get(high(&regs::PENDING_4K)).subtract_borrow().carry("raise 2 MiB"),
        ],
    );
    program.steps(raise(IRQ_STATUS::FREE_4K_LOW));
    // No 2 MiB frame is ever pending.
    program.named(
        "raise 2 MiB",
        [
            get(low(&regs::FREE_2M_LOW)).to_a(),
            get(high(&regs::FREE_2M_LOW)).or().zero("raise event"),
        ],
    );
    program.steps(raise(IRQ_STATUS::FREE_2M_LOW));
    program.named("raise event", [get(COUNT).zero("raise lines")]);
    program.steps(raise(IRQ_STATUS::EVENT));
    program.named(
        "raise lines",
        [
            get(low(&regs::IRQ_STATUS)).to_a(),
            get(low(&regs::IRQ_MASK)).and().irq_monitor(),
            get(low(&regs::HOST_IRQ_STATUS)).to_a(),
            get(low(&regs::HOST_IRQ_MASK)).and().irq_host().back(),
        ],
    );
}
