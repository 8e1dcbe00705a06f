//! A native request, from its checks to its answer. The order of the checks is that of the statuses'
//! priority, as in the golden model.

use super::*;
use splitmem_abi::pte::{PRESENT_BIT, READ_BIT, VALID_BIT, WRITE_BIT};
use splitmem_abi::regs::field::IRQ_STATUS;
use splitmem_abi::request::Status;
use splitmem_abi::window;

const HEAD: u16 = low(&window::RQ_HEAD);
/// Bits of [`HEAD`]: of the op codes 0 read, 1 write, 2 fetch-add, 3 compare-and-swap, the lower bit,
/// the atomics' bit, and the one that none has.
const LOW_BIT: u8 = 8;
const ATOMIC: u8 = 9;
const UNKNOWN: u8 = 10;
/// The address bit that selects 2 MiB pages, in its highest word.
pub(super) const HUGE: u8 = 15;
/// Words of an entry before its frame.
pub(super) const FRAME_WORD: u16 = 6;

const VA: [u16; 3] = [REQUEST | VA0, REQUEST | VA1, REQUEST | VA2];

pub(super) fn steps(program: &mut Assembler) {
    check(program);
    translate(program);
    access(program);
    end(program);
}

fn check(program: &mut Assembler) {
    program.named(
        "request",
        [
            constant(63).to_a(),
            get(HEAD).set(UNKNOWN, "bad request"),
            get(HEAD).clear(ATOMIC, "aligned"),
            constant(7).to_a(),
        ],
    );
    program.named("aligned", [get(VA[0]).and().not_zero("bad request")]);
}

fn translate(program: &mut Assembler) {
    // The last translation, if it is of this page.
    program.steps([
        get(HELD).zero("walk"),
        get(REQUEST | PID).to_a(),
        get(HELD_PID).xor().not_zero("walk"),
        get(VA[1]).to_a(),
        get(HELD_VA1).xor().not_zero("walk"),
        get(VA[2]).to_a(),
        get(HELD_VA2).xor().not_zero("walk"),
        get(VA[0]).to_a(),
        get(HELD_VA0).xor().to_a(),
        constant(0xf000).and().zero("permissions"),
    ]);
    program.named(
        "walk",
        [
            constant(0).put(HELD),
            constant(1 << VALID_BIT).put(MARK),
            constant(REQUEST).to_x().call("find"),
            get(SLOT).set(0, "not mapped"),
            get(SLOT).to_m().to_a(),
            a().put(HELD_SLOT),
            memory().put(HELD_FLAGS),
            constant(FRAME_WORD).add().to_m(),
            memory().put(HELD_FRAME),
        ],
    );
    let page = [REQUEST | PID, VA[0], VA[1], VA[2]];
    for (from, to) in page.into_iter().zip([HELD_PID, HELD_VA0, HELD_VA1, HELD_VA2]) {
        program.steps([get(from).to_a(), a().put(to)]);
    }
    program.steps([constant(1).put(HELD)]);
    program.named(
        "permissions",
        [
            get(HEAD).zero("may read"),
            get(HELD_FLAGS).clear(WRITE_BIT as u8, "no permission"),
            get(HEAD).clear(ATOMIC, "present"),
        ],
    );
    program.named("may read", [get(HELD_FLAGS).clear(READ_BIT as u8, "no permission")]);
    program.named(
        "present",
        [
            get(HELD_FLAGS).set(PRESENT_BIT as u8, "line"),
            get(HEAD).zero("answer nothing"),
            // First write: the entry gets a frame.
            get(VA[2]).set(HUGE, "no memory"),
            get(low(&regs::FREE_4K)).zero("no memory"),
            nothing().call("take frame"),
            a().put(HELD_FRAME),
            get(HELD_SLOT).to_m(),
            constant(1 << PRESENT_BIT).to_a(),
            memory().or().put(HELD_FLAGS).write(),
            constant(FRAME_WORD).to_a(),
            get(HELD_SLOT).add().to_m(),
            get(HELD_FRAME).write().next_m(),
            constant(0).write(),
            nothing().call("raise levels"),
        ],
    );
}

fn access(program: &mut Assembler) {
    program.named(
        "line",
        [
            nothing().call("place"),
            constant(DATA).to_x(),
            get(HEAD).zero("load"),
            get(HEAD).set(ATOMIC, "atomic"),
        ],
    );
    let masks = [
        ("store 0", low(&window::RQ_MASK_LO)),
        ("store 1", high(&window::RQ_MASK_LO)),
        ("store 2", low(&window::RQ_MASK_HI)),
        ("store 3", high(&window::RQ_MASK_HI)),
    ];
    for (name, mask) in masks {
        program.steps([get(mask).to_k()]);
        program.named(name, [at(0).write_masked().next_x().next_m().in_entry(name)]);
    }
    program.named("answer nothing", [constant(answer_last(0)).put(ANSWER_LAST).go("ok")]);
    program.named(
        "load",
        [
            memory().put_at(ANSWER).next_x().next_m().in_line("load"),
            constant(answer_last(32)).put(ANSWER_LAST).go("ok"),
        ],
    );

    program.named(
        "atomic",
        [
            memory().put_at(ANSWER).next_x().next_m(),
            memory().put_at(ANSWER).next_x().next_m(),
            memory().put_at(ANSWER).next_x().next_m(),
            memory().put_at(ANSWER).next_x().next_m(),
            nothing().call("place"),
            get(HEAD).set(LOW_BIT, "compare"),
        ],
    );
    for i in 0..4 {
        let sum = if i == 0 { memory().add() } else { memory().add_carry() };
        program.steps([get(DATA + i).to_a(), sum.write().next_m()]);
    }
    program.steps([nothing().go("answer old")]);
    program.name("compare");
    for i in 0..4 {
        program.steps([get(DATA + 4 + i).to_a(), memory().xor().next_m().not_zero("answer old")]);
    }
    program.steps([nothing().call("place")]);
    for i in 0..4 {
        program.steps([get(DATA + i).write().next_m()]);
    }
    program.named("answer old", [constant(answer_last(4)).put(ANSWER_LAST).go("ok")]);

    // M becomes the request's word. A 2 MiB page is larger than the memory, and every address in it
    // stands at its own low bits.
    program.named(
        "place",
        [
            get(VA[2]).set(HUGE, "place huge"),
            get(HELD_FRAME).to_a(),
            get(VA[0]).place().to_m().back(),
        ],
    );
    program.named("place huge", [get(VA[1]).to_a(), get(VA[0]).half().to_m().back()]);
}

fn end(program: &mut Assembler) {
    let status = |status: Status| constant(status as u16).to_a();
    program.named("not mapped", [status(Status::NotMapped).go("fail")]);
    program.named("no permission", [status(Status::NoPermission).go("fail")]);
    program.named("bad request", [status(Status::BadRequest).go("fail")]);
    program.named(
        "no memory",
        [
            constant(IRQ_STATUS::NO_MEMORY.mask() as u16).to_a(),
            get(low(&regs::IRQ_STATUS)).or().same(),
            status(Status::NoMemory),
        ],
    );
    program.named(
        "fail",
        [
            a().put(T0),
            nothing().call("log"),
            nothing().call("raise levels"),
            constant(answer_last(0)).put(ANSWER_LAST),
            get(T0).to_a(),
            get(T0).add().to_a(),
            a().put(low(&window::RQ_STATUS)).go("retire"),
        ],
    );
    program.named("ok", [constant(0).put(low(&window::RQ_STATUS))]);
    program.named(
        "retire",
        [
            constant(bit(work::REQUEST)).to_a(),
            get(WORK).without().same().retired().go("work on table"),
        ],
    );
}
