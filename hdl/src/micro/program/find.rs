//! Where a page's entry stands: one line read, as everywhere.
//!
//! In: X, where the page's pid and address stand; MARK, the flags of which the entry has one. Out:
//! SLOT and FREE_SLOT, and the page's key in KEY0 to KEY2.

use super::request::HUGE;
use super::*;
use splitmem_abi::pte::{DYING_BIT, VALID_BIT};

/// What no slot has as its address.
const NOWHERE: u16 = 1;

pub(super) fn steps(program: &mut Assembler) {
    key(program);
    bucket(program);
    scan(program);
}

fn key(program: &mut Assembler) {
    program.named(
        "find",
        [
            at(VA0).to_a(),
            at(VA1).key().to_a(),
            at(VA2).clear(HUGE, "key"),
            // A 2 MiB page has its low nine bits zero.
            constant(0xfe00).and().to_a(),
        ],
    );
    program.named(
        "key",
        [
            a().put(KEY0),
            at(VA1).to_a(),
            at(VA2).key().to_a(),
            a().put(KEY1),
            at(VA2).to_a(),
            constant(0).key().put(KEY2),
        ],
    );
}

/// M becomes the bucket's first word. The memory has 2048 lines: eleven bits of the hash count.
fn bucket(program: &mut Assembler) {
    program.steps([
        hash_at(Source::HashPid, PID).to_a(),
        hash_at(Source::HashMiddle, VA1).xor().to_a(),
        hash_at(Source::HashHigh, VA2).xor().to_a(),
        at(VA2).set(HUGE, "huge index"),
        get(KEY0).add().to_a(),
    ]);
    program.named(
        "line of bucket",
        [
            line().to_a(),
            get(TABLE_MASK).and().to_a(),
            get(TABLE_AT).add().to_m(),
            constant(NOWHERE).put(SLOT),
            constant(NOWHERE).put(FREE_SLOT).go("slot"),
        ],
    );
    // The page's index in its vRegion is va[29:21].
    program.named("huge index", [a().put(T0), at(VA1).to_a(), a().put(T1), constant(0).to_a()]);
    for _ in 0..5 {
        program.steps([get(T1).half().same()]);
    }
    program.steps([
        constant(0x1ff).to_a(),
        get(T1).and().to_a(),
        get(T0).add().to_a().go("line of bucket"),
    ]);
}

fn scan(program: &mut Assembler) {
    program.named(
        "slot",
        [
            take(Source::Address).put(HERE),
            constant(1 << VALID_BIT | 1 << DYING_BIT).to_a(),
            memory().and().to_a().next_m().zero("free slot"),
            get(MARK).and().zero("next slot"),
            at(PID).to_a(),
            memory().xor().next_m().not_zero("next slot"),
            get(KEY0).to_a(),
            memory().xor().next_m().not_zero("next slot"),
            get(KEY1).to_a(),
            memory().xor().next_m().not_zero("next slot"),
            constant(0xf).to_a(),
            memory().and().to_a(),
            get(KEY2).xor().not_zero("next slot"),
            get(HERE).to_a(),
            a().put(SLOT).back(),
        ],
    );
    program.named(
        "free slot",
        [get(FREE_SLOT).clear(0, "next slot"), get(HERE).to_a(), a().put(FREE_SLOT)],
    );
    program.named(
        "next slot",
        [
            constant(7).to_a(),
            take(Source::Address).or().to_m(),
            nothing().next_m().in_line("slot"),
            nothing().back(),
        ],
    );
}
