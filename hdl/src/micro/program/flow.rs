//! What the microprogram promises whatever the data are: all ways through it are followed.
//!
//! Every branch is taken both ways, but for those on the op of the request under way, which is one of
//! eight and does not change. What holds on all of these ways holds in the machine, whose sequencer does
//! nothing else. The promises are in [`Walk::arrive`]; a check that is taken out breaks one of them, which
//! the tests show check by check.

use super::*;
use crate::micro::word::{Effect, Next, Signal, Source};
use splitmem_abi::window;
use std::collections::HashSet;

/// What was found out on the way: a branch, and how it went.
struct Fact {
    bit: u32,
    name: &'static str,
    behind: u16,
    taken: bool,
}

const fn fact(bit: u32, name: &'static str, behind: u16, taken: bool) -> Fact {
    Fact { bit: 1 << bit, name, behind, taken }
}

// Of a request.
const ALIGNED: Fact = fact(0, "aligned", 0, false);
const HELD_FACTS: [Fact; 5] = [
    fact(1, "aligned", 1, false),
    fact(2, "aligned", 3, false),
    fact(3, "aligned", 5, false),
    fact(4, "aligned", 7, false),
    fact(5, "aligned", 10, true),
];
const FOUND: Fact = fact(6, "walk", 3, false);
const MAY_WRITE: Fact = fact(7, "permissions", 1, false);
const MAY_READ: Fact = fact(8, "may read", 0, false);
const REQUEST_FACTS: u32 = (1 << 9) - 1;
// Of an entry that is looked at: pid and key are those that are looked for.
const SAME: [Fact; 4] = [
    fact(9, "slot", 5, false),
    fact(10, "slot", 7, false),
    fact(11, "slot", 9, false),
    fact(12, "slot", 12, false),
];
const ENTRY_FACTS: u32 = 15 << 9;
// Of a frame: its last line was cleared; the list of cleared ones is not empty.
const CLEARED: Fact = fact(13, "clear words", 2, false);
const FRAME_THERE: [Fact; 2] = [fact(14, "present", 3, false), fact(15, "pop frame", 0, false)];

fn facts() -> Vec<&'static Fact> {
    let lone = [&ALIGNED, &FOUND, &MAY_WRITE, &MAY_READ, &CLEARED];
    lone.into_iter().chain(&HELD_FACTS).chain(&SAME).chain(&FRAME_THERE).collect()
}

fn all(facts: &[Fact]) -> u32 {
    facts.iter().fold(0, |bits, fact| bits | fact.bit)
}

/// What the loop is at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum At {
    Loop,
    Access,
    /// A request of this op.
    Request(u16),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    step: u16,
    calls: Vec<u16>,
    at: At,
    facts: u32,
}

struct Walk<'a> {
    program: &'a Assembler,
    words: &'a [u64],
    /// The steps of all registers, for reads and writes.
    registers: Vec<u16>,
    reached: HashSet<u16>,
}

impl Walk<'_> {
    fn is(&self, step: u16, name: &str, behind: u16) -> bool {
        self.program.address(name) + behind == step
    }

    /// What must be true of a state, and what a step begins.
    fn arrive(&self, state: &mut State) -> Result<(), String> {
        let step = state.step;
        let here = |name: &str| self.is(step, name, 0);
        let wrong = |what: &str| Err(format!("step {step}: {what}"));
        let has = |state: &State, bits: u32| state.facts & bits == bits;
        if (here("idle") || here("work")) && state.at != At::Loop {
            return wrong("back in the loop with an access or a request not over");
        }
        if here("request") {
            return wrong("a request begins without its op");
        }
        if here("slot") {
            state.facts &= !ENTRY_FACTS;
        }
        if self.is(step, "slot", 14) && !has(state, all(&SAME)) {
            return wrong("an entry is taken that is not the page's");
        }
        let facts = state.facts;
        if here("line") {
            let translated = has(state, all(&HELD_FACTS)) || has(state, FOUND.bit);
            if !has(state, ALIGNED.bit) || !translated {
                return wrong("a line is reached without a translation of its page");
            }
        }
        let needs = |bits: u32, what: &str| if facts & bits == bits { Ok(()) } else { wrong(what) };
        if here("load") || here("answer nothing") && state.at == At::Request(0) {
            needs(MAY_READ.bit, "a page is read that may not be read")?;
        }
        if here("store 0") {
            needs(MAY_WRITE.bit, "a page is written that may not be written")?;
        }
        if here("atomic") {
            needs(MAY_READ.bit | MAY_WRITE.bit, "a page is changed that may not be")?;
        }
        if here("take frame") {
            if state.facts & all(&FRAME_THERE) == 0 {
                return wrong("a frame is taken from an empty list");
            }
            state.facts &= !all(&FRAME_THERE);
        }
        if self.stores_in_free_list(step) {
            needs(CLEARED.bit, "a frame is listed that was not cleared to its end")?;
            state.facts &= !CLEARED.bit;
        }
        Ok(())
    }

    fn stores_in_free_list(&self, step: u16) -> bool {
        let word = self.words[usize::from(step)];
        let address = (word >> 14 & 0x3ff) as u16;
        let list = FREE..FREE + FREE_ENTRIES;
        word >> Effect::Scratch as u32 & 1 == 1 && list.contains(&address)
    }

    /// How a branch on the op goes; both ways where it is on something else.
    fn ways(&self, state: &State) -> Vec<bool> {
        let word = self.words[usize::from(state.step)];
        let (source, function) = (word >> 25 & 15, word >> 29 & 15);
        let head = low(&window::RQ_HEAD);
        let of_op = source == Source::Scratch as u64
            && function == 0
            && word >> 24 & 1 == 0
            && (word >> 14 & 0x3ff) as u16 == head;
        let At::Request(op) = state.at else { return vec![false, true] };
        let selected = op << 8 >> (word >> 33 & 15) & 1 == 1;
        let next = word >> 10 & 15;
        match (of_op, next) {
            (true, n) if n == Next::Zero as u64 => vec![op == 0],
            (true, n) if n == Next::NotZero as u64 => vec![op != 0],
            (true, n) if n == Next::Set as u64 => vec![selected],
            (true, n) if n == Next::Clear as u64 => vec![!selected],
            _ => vec![false, true],
        }
    }

    /// The states that may follow.
    fn follow(&self, state: &State) -> Result<Vec<State>, String> {
        let word = self.words[usize::from(state.step)];
        let wrong = |what: &str| Err(format!("step {}: {what}", state.step));
        let mut state = state.clone();
        let signal = word >> 62;
        if signal == Signal::Retired as u64 {
            if !matches!(state.at, At::Request(_)) {
                return wrong("a request is answered that is not under way");
            }
            (state.at, state.facts) = (At::Loop, state.facts & !REQUEST_FACTS);
        } else if signal != 0 {
            if state.at != At::Access {
                return wrong("an access is answered that is not under way");
            }
            state.at = At::Loop;
        }
        let (target, behind) = ((word & 0x3ff) as u16, state.step + 1);
        let to = |step: u16| State { step, ..state.clone() };
        let next = word >> 10 & 15;
        Ok(match next {
            n if n == Next::Behind as u64 => vec![to(behind)],
            n if n == Next::Always as u64 => vec![to(target)],
            n if n == Next::Call as u64 => {
                let mut calls = state.calls.clone();
                calls.push(behind);
                if calls.len() > 2 {
                    return wrong("more calls than the sequencer keeps");
                }
                vec![State { calls, ..to(target) }]
            }
            n if n == Next::Return as u64 => {
                let mut calls = state.calls.clone();
                let Some(step) = calls.pop() else { return wrong("a return without a call") };
                vec![State { calls, ..to(step) }]
            }
            n if n == Next::Register as u64 => {
                self.registers.iter().map(|&step| to(step)).collect()
            }
            n if n == Next::Access as u64 => {
                vec![to(behind), State { at: At::Access, ..to(target) }]
            }
            _ => {
                let ways = self.ways(&state);
                let way = |taken: bool| {
                    let mut then = to(if taken { target } else { behind });
                    for fact in facts() {
                        if self.is(state.step, fact.name, fact.behind) && fact.taken == taken {
                            then.facts |= fact.bit;
                        }
                    }
                    then
                };
                ways.into_iter().map(way).collect()
            }
        })
    }

    fn run(&mut self) -> Result<usize, String> {
        let first = State { step: 0, calls: Vec::new(), at: At::Loop, facts: 0 };
        let (mut seen, mut open) = (HashSet::new(), vec![first]);
        while let Some(mut state) = open.pop() {
            if self.is(state.step, "request", 0) && state.at == At::Loop {
                // Any op may begin.
                self.reached.insert(state.step);
                for op in 0..8 {
                    let facts = state.facts & !REQUEST_FACTS;
                    let state = State { at: At::Request(op), facts, ..state.clone() };
                    if seen.insert(state.clone()) {
                        open.extend(self.follow(&state)?);
                    }
                }
                continue;
            }
            self.arrive(&mut state)?;
            if seen.insert(state.clone()) {
                self.reached.insert(state.step);
                open.extend(self.follow(&state)?);
            }
        }
        Ok(seen.len())
    }
}

fn walk(program: &Assembler, words: &[u64]) -> Result<(usize, HashSet<u16>), String> {
    let table = register_words(program);
    let steps = table.iter().filter(|&&word| word != 0);
    let registers = steps.flat_map(|&word| [(word & 0x3ff) as u16, (word >> 10 & 0x3ff) as u16]);
    let registers: HashSet<_> = registers.collect();
    let registers = registers.into_iter().collect();
    let mut walk = Walk { program, words, registers, reached: HashSet::new() };
    let states = walk.run()?;
    Ok((states, walk.reached))
}

#[test]
fn all_ways_keep_the_promises_and_every_step_is_on_one() {
    let program = assemble();
    let words = program.words();
    let (states, reached) = walk(&program, &words).expect("the promises");
    println!("{} steps, {states} states", words.len());
    let dead: Vec<_> = (0..words.len() as u16).filter(|step| !reached.contains(step)).collect();
    assert!(dead.is_empty(), "no way to steps {dead:?}");
}

#[test]
fn a_check_that_is_left_out_is_noticed() {
    let program = assemble();
    for fact in facts() {
        let mut words = program.words();
        let at = usize::from(program.address(fact.name) + fact.behind);
        let always = if fact.taken { Next::Always } else { Next::Behind };
        // The check goes the right way whatever it finds: as if it was not there, and no fact.
        words[at] = words[at] & !(15 << 10) | (always as u64) << 10;
        let broken = walk(&program, &words);
        assert!(broken.is_err(), "{} + {} was left out", fact.name, fact.behind);
    }
}

#[test]
fn an_answer_too_few_or_too_many_is_noticed() {
    let program = assemble();
    for (name, behind) in [("done", 0), ("denied", 0), ("write", 1), ("retire", 1)] {
        let mut words = program.words();
        let at = usize::from(program.address(name) + behind);
        words[at] &= !(3 << 62);
        assert!(walk(&program, &words).is_err(), "{name} without its answer");
    }
    let mut words = program.words();
    words[usize::from(program.address("settle"))] |= (Signal::Done as u64) << 62;
    assert!(walk(&program, &words).is_err(), "answered twice");
}
