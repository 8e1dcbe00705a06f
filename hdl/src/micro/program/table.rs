//! The table engine: the monitor's commands on runs of entries, a page at a time.
//!
//! The last translation is dropped with every page, so none that a command replaced is ever used again.

use super::request::{FRAME_WORD, HUGE};
use super::*;
use splitmem_abi::pte::{DYING_BIT, PRESENT_BIT, READ_BIT, SHARED_BIT, VALID_BIT, WRITE_BIT};
use splitmem_abi::regs::field::{IRQ_STATUS, TE_FLAGS, TE_RESULT, TE_STATUS};
use splitmem_abi::regs::{TableCommand, TableError};

/// A register of the command that is under way.
const fn job(register: &regs::Register) -> u16 {
    JOB | low(register)
}

const COUNT: u16 = job(&regs::TE_COUNT);
const FLAGS: u16 = job(&regs::TE_FLAGS);
const FRAME: u16 = job(&regs::TE_FRAME);

// TE_FLAGS is the entry's first word but for VALID.
const _: () = assert!(
    TE_FLAGS::READ.lsb == READ_BIT
        && TE_FLAGS::WRITE.lsb == WRITE_BIT
        && TE_FLAGS::SHARED.lsb == SHARED_BIT
        && TE_FLAGS::PRESENT.lsb == PRESENT_BIT
);

/// Bits of a frame number in its high word.
const FRAME_HIGH: u16 = 0xfff;

pub(super) fn steps(program: &mut Assembler) {
    start(program);
    page(program);
    commands(program);
    report(program);
    advance(program);
    end(program);
}

fn start(program: &mut Assembler) {
    program.named(
        "start table",
        [
            get(WORK).set(work::TABLE, "done"),
            constant(0).put(low(&regs::TE_DONE)),
            constant(0).put(high(&regs::TE_DONE)),
            constant(TE_STATUS::BUSY.mask() as u16).put(low(&regs::TE_STATUS)),
            take(Source::WriteLow).put(JOB_CODE),
            get(JOB_CODE).zero("bad command"),
            constant(TableCommand::Query as u16 + 1).to_a(),
            get(JOB_CODE).subtract().carry("bad command"),
        ],
    );
    let page =
        [low(&regs::TE_PID), low(&regs::TE_VA_LO), high(&regs::TE_VA_LO), low(&regs::TE_VA_HI)];
    let rest = [&regs::TE_COUNT, &regs::TE_FLAGS, &regs::TE_FRAME];
    let rest = rest.into_iter().flat_map(|register| [low(register), high(register)]);
    for word in page.into_iter().chain(rest) {
        program.steps([get(word).to_a(), a().put(JOB | word)]);
    }
    program.steps([constant(bit(work::TABLE)).to_a(), get(WORK).or().same().done().go("work")]);
    program.named(
        "bad command",
        [
            error(TableError::BadCommand),
            constant(IRQ_STATUS::TE_DONE.mask() as u16).to_a(),
            get(low(&regs::IRQ_STATUS)).or().same().go("settle"),
        ],
    );
}

fn error(error: TableError) -> Step {
    constant(TE_STATUS::ERROR.put(error as u32) as u16).put(low(&regs::TE_STATUS))
}

/// To a step if the command is this one.
fn if_command(program: &mut Assembler, command: TableCommand, name: &'static str) {
    program.steps([constant(command as u16).to_a(), get(JOB_CODE).xor().zero(name)]);
}

fn page(program: &mut Assembler) {
    program.named(
        "table",
        [
            constant(0).put(HELD),
            get(COUNT).to_a(),
            get(COUNT + 1).or().zero("table done"),
            constant(1 << VALID_BIT).put(MARK),
            constant(TableCommand::Collect as u16).to_a(),
            get(JOB_CODE).xor().not_zero("table find"),
            constant(1 << DYING_BIT).put(MARK),
        ],
    );
    program.named("table find", [constant(JOB_PAGE).to_x().call("find")]);
    if_command(program, TableCommand::Insert, "insert");
    program.steps([get(SLOT).set(0, "not found"), get(SLOT).to_m()]);
    if_command(program, TableCommand::Unmap, "unmap");
    if_command(program, TableCommand::Protect, "protect");
    if_command(program, TableCommand::Query, "result");
    // Collect: a page that has no frame has no result.
    program.steps([memory().clear(PRESENT_BIT as u8, "clear entry"), nothing().go("result")]);
}

fn commands(program: &mut Assembler) {
    program.named(
        "insert",
        [
            get(SLOT).clear(0, "exists"),
            get(FREE_SLOT).set(0, "bucket full"),
            get(FREE_SLOT).to_m(),
            constant(1 << VALID_BIT).to_a(),
            get(FLAGS).or().write().next_m(),
            get(JOB_PAGE | PID).write().next_m(),
            get(KEY0).write().next_m(),
            get(KEY1).write().next_m(),
            get(KEY2).write().next_m(),
            constant(0).write().next_m(),
            get(FLAGS).clear(PRESENT_BIT as u8, "insert empty"),
            get(FRAME).write().next_m(),
            get(FRAME + 1).write().go("advance"),
        ],
    );
    program
        .named("insert empty", [constant(0).write().next_m(), constant(0).write().go("advance")]);
    program.named(
        "unmap",
        [constant(1 << VALID_BIT | 1 << DYING_BIT).to_a(), memory().xor().write().go("advance")],
    );
    program.named(
        "protect",
        [
            constant(1 << READ_BIT | 1 << WRITE_BIT).to_a(),
            memory().without().put(T0),
            get(FLAGS).and().to_a(),
            get(T0).or().write().go("advance"),
        ],
    );
    program.named("clear entry", [get(SLOT).to_m()]);
    program.named(
        "clear word",
        [constant(0).write().next_m().in_entry("clear word"), nothing().go("advance")],
    );
}

/// M is at the entry.
fn report(program: &mut Assembler) {
    let flag = |field: regs::Field| (field.mask() >> 16) as u16;
    program.named(
        "result",
        [
            memory().put(T0),
            // The command waits while the queue is full, and begins the page again.
            constant(RESULT_ENTRIES).to_a(),
            get(RESULT_COUNT).xor().zero("work on frames"),
            get(RESULT_TAIL).to_x(),
            constant(FRAME_WORD).to_a(),
            get(SLOT).add().to_m(),
            memory().put_at(RESULTS).next_m(),
            constant(FRAME_HIGH).to_a(),
            memory().and().to_a(),
            constant(flag(TE_RESULT::VALID)).or().to_a(),
            get(T0).clear(WRITE_BIT as u8, "result: not writable"),
            constant(flag(TE_RESULT::WRITE)).or().to_a(),
        ],
    );
    program.named(
        "result: not writable",
        [
            get(T0).clear(SHARED_BIT as u8, "result: not shared"),
            constant(flag(TE_RESULT::SHARED)).or().to_a(),
        ],
    );
    program.named(
        "result: not shared",
        [
            get(T0).clear(PRESENT_BIT as u8, "result: not present"),
            constant(flag(TE_RESULT::PRESENT)).or().to_a(),
        ],
    );
    program.named(
        "result: not present",
        [
            a().put_at(RESULTS | 1),
            get(RESULT_TAIL).to_a(),
            constant(2).add().to_a(),
            constant(2 * RESULT_ENTRIES - 1).and().put(RESULT_TAIL),
            get(RESULT_COUNT).increment().same(),
        ],
    );
    if_command(program, TableCommand::Collect, "clear entry");
    program.steps([nothing().go("advance")]);
    program.named(
        "pop result",
        [
            get(RESULT_COUNT).zero("done"),
            get(RESULT_HEAD).to_x(),
            at(RESULTS).read_low(),
            at(RESULTS | 1).read_high(),
            get(RESULT_HEAD).to_a(),
            constant(2).add().to_a(),
            constant(2 * RESULT_ENTRIES - 1).and().put(RESULT_HEAD),
            get(RESULT_COUNT).decrement().same().go("done"),
        ],
    );
}

fn advance(program: &mut Assembler) {
    program.named(
        "advance",
        [
            get(JOB_PAGE | VA2).set(HUGE, "advance huge"),
            constant(1 << 12).to_a(),
            get(JOB_PAGE | VA0).add().same(),
            constant(0).to_a(),
            get(JOB_PAGE | VA1).add_carry().same(),
            get(JOB_PAGE | VA2).add_carry().same(),
            constant(1).to_a().go("advance frame"),
        ],
    );
    program.named(
        "advance huge",
        [
            constant(1 << (21 - 16)).to_a(),
            get(JOB_PAGE | VA1).add().same(),
            constant(0).to_a(),
            get(JOB_PAGE | VA2).add_carry().same(),
            constant(512).to_a(),
        ],
    );
    program.named(
        "advance frame",
        [
            get(FRAME).add().same(),
            constant(0).to_a(),
            get(FRAME + 1).add_carry().to_a(),
            constant(FRAME_HIGH).and().put(FRAME + 1),
            constant(0).to_a(),
            get(COUNT).decrement().same(),
            get(COUNT + 1).subtract_borrow().same(),
            get(low(&regs::TE_DONE)).increment().same(),
            get(high(&regs::TE_DONE)).add_carry().same().go("work on frames"),
        ],
    );
}

fn end(program: &mut Assembler) {
    program.named("table done", [constant(0).put(low(&regs::TE_STATUS)).go("table over")]);
    program.named("not found", [error(TableError::NotFound).go("table over")]);
    program.named("exists", [error(TableError::Exists).go("table over")]);
    program.named("bucket full", [error(TableError::BucketFull)]);
    program.named(
        "table over",
        [
            constant(bit(work::TABLE)).to_a(),
            get(WORK).without().same(),
            constant(IRQ_STATUS::TE_DONE.mask() as u16).to_a(),
            get(low(&regs::IRQ_STATUS)).or().same().call("raise lines"),
            nothing().go("work on frames"),
        ],
    );
}
