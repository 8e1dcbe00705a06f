//! Frames: the zeroing engine, which clears a line at a time, and the free list of cleared ones.
//!
//! A frame gets into the list only by "frame cleared", behind the last of its lines.

use super::*;
use splitmem_abi::regs::field::{FREE_4K_POP, ZERO_PUSH, ZERO_STATUS};

/// Bits of a frame number.
const FRAME: u16 = HwConfig::MICRO.frame_mask() as u16;
/// Offset of a word in its frame.
const IN_FRAME: u16 = 0x7ff;
/// Bits of ZERO_STATUS that count the room.
const ROOM: u16 = 7;

pub(super) fn steps(program: &mut Assembler) {
    push(program);
    clear(program);
    take_frame(program);
}

fn push(program: &mut Assembler) {
    program.named(
        "push frames",
        [
            // Only 4 KiB frames: no 2 MiB are here.
            take(Source::WriteHigh).set((ZERO_PUSH::HUGE.lsb - 16) as u8, "overflow"),
            take(Source::WriteLow).zero("overflow"),
            constant(ROOM).to_a(),
            get(low(&regs::ZERO_STATUS)).and().zero("overflow"),
            get(RUN_TAIL).to_x(),
            get(low(&regs::ZERO_BASE)).to_a(),
            constant(FRAME).and().put_at(RUNS),
            take(Source::WriteLow).put_at(RUNS | 1),
            get(RUN_TAIL).to_a(),
            constant(2).add().to_a(),
            constant(2 * RUN_ENTRIES - 1).and().put(RUN_TAIL),
            take(Source::WriteLow).to_a(),
            get(low(&regs::PENDING_4K)).add().same(),
            constant(0).to_a(),
            get(high(&regs::PENDING_4K)).add_carry().same(),
            get(low(&regs::ZERO_STATUS)).decrement().to_a(),
            constant(ZERO_STATUS::BUSY.mask() as u16).or().put(low(&regs::ZERO_STATUS)),
            constant(bit(work::CLEAR)).to_a(),
            get(WORK).or().same().done().go("work"),
        ],
    );
    program.named(
        "overflow",
        [
            constant(ZERO_STATUS::OVERFLOW.mask() as u16).to_a(),
            get(low(&regs::ZERO_STATUS)).or().same().done().go("work"),
        ],
    );
}

fn clear(program: &mut Assembler) {
    program.named(
        "clear",
        [
            constant(FREE_ENTRIES).to_a(),
            get(low(&regs::FREE_4K)).xor().zero("idle"),
            get(CLEARING).not_zero("clear line"),
            get(RUN_HEAD).to_x(),
            at(RUNS).to_a(),
            constant(0).place().put(CLEAR_AT),
            constant(1).put(CLEARING),
        ],
    );
    program.named("clear line", [get(CLEAR_AT).to_m()]);
    program.named(
        "clear words",
        [
            constant(0).write().next_m().in_line("clear words"),
            take(Source::Address).put(CLEAR_AT).to_a(),
            constant(IN_FRAME).and().not_zero("idle"),
        ],
    );
    program.named(
        "frame cleared",
        [
            constant(0).put(CLEARING),
            get(RUN_HEAD).to_x(),
            at(RUNS).to_a(),
            get(FREE_TAIL).to_x(),
            a().put_at(FREE),
            get(FREE_TAIL).increment().to_a(),
            constant(FREE_ENTRIES - 1).and().put(FREE_TAIL),
            get(low(&regs::FREE_4K)).increment().same(),
            get(RUN_HEAD).to_x(),
            at(RUNS).increment().to_a(),
            constant(FRAME).and().put_at(RUNS),
            at(RUNS | 1).decrement().same().not_zero("idle"),
            // The run is over.
            get(RUN_HEAD).to_a(),
            constant(2).add().to_a(),
            constant(2 * RUN_ENTRIES - 1).and().put(RUN_HEAD),
            get(low(&regs::ZERO_STATUS)).increment().same(),
            constant(ROOM).to_a(),
            get(low(&regs::ZERO_STATUS)).and().to_a(),
            constant(RUN_ENTRIES).xor().not_zero("idle"),
            constant(ZERO_STATUS::BUSY.mask() as u16).to_a(),
            get(low(&regs::ZERO_STATUS)).without().same(),
            constant(bit(work::CLEAR)).to_a(),
            get(WORK).without().same().go("idle"),
        ],
    );
}

fn take_frame(program: &mut Assembler) {
    program.named(
        "pop frame",
        [
            get(low(&regs::FREE_4K)).zero("done"),
            nothing().call("take frame"),
            a().read_low(),
            constant((FREE_4K_POP::VALID.mask() >> 16) as u16).read_high().go("settle"),
        ],
    );
    // Out: A, the oldest frame of the list, which is not empty.
    program.named(
        "take frame",
        [
            get(FREE_HEAD).to_x(),
            get(FREE_HEAD).increment().to_a(),
            constant(FREE_ENTRIES - 1).and().put(FREE_HEAD),
            get(low(&regs::FREE_4K)).decrement().same(),
            constant(0).to_a(),
            get(low(&regs::PENDING_4K)).decrement().same(),
            get(high(&regs::PENDING_4K)).subtract_borrow().same(),
            at(FREE).to_a().back(),
        ],
    );
}
