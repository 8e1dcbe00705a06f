//! A memory that answers when and in what order it likes.

use crate::dram::{DramStats, LineCommand, LineMemory, LineReply, LineStore};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::dram::{tag_index, TagClass};

/// Commands in flight before the memory takes no more.
const DEPTH: usize = 96;

/// How long a [`ChaosMemory`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Shortest, in component clocks.
    pub min: u32,
    /// Longest of the usual ones.
    pub max: u32,
    /// One command in so many takes ten times as long as the longest.
    pub outlier_in: u32,
}

/// A memory with random latencies and answers in random order.
///
/// It leans on the component's promise that two commands to one line are never in flight together
/// if one of them is a write: a command takes effect at a random time while it is in flight. Whoever
/// breaks the promise is told on ([`violation`](Self::violation)) and sees a wrong result.
///
/// The promise has one exception. A bucket line holds the entries of several pages, and walks, the
/// fault unit and the table engine each care for one of them. A line is read, and the bytes of a
/// mask of it are written, at once; so commands may meet there if neither owner needs the other's
/// bytes.
pub struct ChaosMemory {
    store: LineStore,
    latency: Latency,
    rng: SmallRng,
    in_flight: Vec<InFlight>,
    now: u64,
    stats: DramStats,
    violation: Option<String>,
}

struct InFlight {
    due: u64,
    command: LineCommand,
    /// The reply, if it took effect already.
    done: Option<LineReply>,
}

impl ChaosMemory {
    /// A memory over `store`; the same seed and the same calls give the same answers.
    pub fn new(store: LineStore, latency: Latency, seed: u64) -> Self {
        Self {
            store,
            latency,
            rng: SmallRng::seed_from_u64(seed),
            in_flight: Vec::with_capacity(DEPTH),
            now: 0,
            stats: DramStats::default(),
            violation: None,
        }
    }

    /// Changes the latencies of the commands to come.
    pub fn set_latency(&mut self, latency: Latency) {
        self.latency = latency;
    }

    /// The first broken promise, if any.
    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// Whether a command to this line is in flight.
    pub fn touches(&self, line: u64) -> bool {
        self.in_flight.iter().any(|f| f.command.line == line)
    }

    fn check(&mut self, command: &LineCommand) {
        if command.line >= self.store.lines() {
            self.violation.get_or_insert_with(|| {
                format!("DRAM command beyond the memory: {}", describe(command))
            });
        }
        let conflict =
            self.in_flight.iter().find(|f| f.command.line == command.line && conflict(f, command));
        if let Some(other) = conflict {
            self.violation.get_or_insert_with(|| {
                format!(
                    "two DRAM commands to one line in flight: {} while {} was not answered",
                    describe(command),
                    describe(&other.command)
                )
            });
        }
        if self.in_flight.iter().any(|f| f.command.tag == command.tag && is_unique(command.tag)) {
            self.violation.get_or_insert_with(|| {
                format!("DRAM tag used twice at once: {}", describe(command))
            });
        }
    }
}

/// Whether it matters which of two commands to one line comes first.
fn conflict(first: &InFlight, b: &LineCommand) -> bool {
    use TagClass::{PteWrite, Table, Walk};
    let in_table = |class| matches!(class, Some(Walk | PteWrite | Table));
    let a = &first.command;
    let (class_a, class_b) = (TagClass::of(a.tag), TagClass::of(b.tag));
    match (a.write, b.write) {
        (false, false) => false,
        _ if !in_table(class_a) || !in_table(class_b) => true,
        // A walk may see a new entry before its INSERT is answered, and a first write then fill it.
        (true, true) => a.mask & b.mask != 0 && first.done.is_none(),
        // The table engine looks for free slots; a walk entry has one page.
        _ if class_a == class_b => true,
        _ => {
            class_a != Some(Table) && class_b != Some(Table) && tag_index(a.tag) == tag_index(b.tag)
        }
    }
}

/// Whether the owner of a tag must know which of its commands an answer belongs to.
fn is_unique(tag: u16) -> bool {
    !matches!(TagClass::of(tag), Some(TagClass::Zero))
}

fn describe(command: &LineCommand) -> String {
    let kind = if command.write { "write" } else { "read" };
    let class = TagClass::of(command.tag);
    format!("{kind} of line {:#x}, tag {:#05x} ({class:?})", command.line, command.tag)
}

impl LineMemory for ChaosMemory {
    fn can_accept(&self, _write: bool) -> bool {
        self.in_flight.len() < DEPTH
    }

    fn push(&mut self, command: LineCommand) {
        assert!(self.can_accept(command.write), "a command was pushed into a full memory");
        self.check(&command);
        if command.write {
            self.stats.writes += 1;
        } else {
            self.stats.reads += 1;
        }
        let Latency { min, max, outlier_in } = self.latency;
        let mut latency = self.rng.random_range(min..=max);
        if outlier_in > 0 && self.rng.random_ratio(1, outlier_in) {
            latency = max * 10;
        }
        let done = self.rng.random_ratio(1, 4).then(|| command.perform(&mut self.store));
        self.in_flight.push(InFlight { due: self.now + u64::from(latency), command, done });
    }

    fn tick(&mut self) {
        self.now += 1;
        self.stats.clocks += 1;
    }

    fn pop_reply(&mut self) -> Option<LineReply> {
        // Any that is due, from a random one on.
        let count = self.in_flight.len();
        if count == 0 {
            return None;
        }
        let first = self.rng.random_range(0..count);
        let found =
            (0..count).map(|i| (first + i) % count).find(|&i| self.in_flight[i].due <= self.now)?;
        let InFlight { command, done, .. } = self.in_flight.swap_remove(found);
        Some(done.unwrap_or_else(|| command.perform(&mut self.store)))
    }

    fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    fn store(&self) -> &LineStore {
        &self.store
    }

    fn store_mut(&mut self) -> &mut LineStore {
        &mut self.store
    }

    fn stats(&self) -> &DramStats {
        &self.stats
    }

    fn reset_stats(&mut self) {
        self.stats = DramStats::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dram::Fill;

    fn command(tag: u16, write: bool, line: u64) -> LineCommand {
        LineCommand { tag, write, line, mask: !0, data: [tag as u8; 64] }
    }

    fn memory() -> ChaosMemory {
        let latency = Latency { min: 1, max: 30, outlier_in: 8 };
        ChaosMemory::new(LineStore::new(1 << 10, Fill::Zero), latency, 5)
    }

    #[test]
    fn every_command_is_answered_once_and_out_of_order() {
        let mut memory = memory();
        let mut order = Vec::new();
        for tag in 0..64 {
            memory.push(command(tag, true, u64::from(tag)));
        }
        while !memory.is_idle() {
            memory.tick();
            order.extend(memory.pop_reply().map(|reply| reply.tag));
        }
        assert!(!order.is_sorted());
        order.sort_unstable();
        assert_eq!(order, (0..64).collect::<Vec<_>>());
        assert_eq!(memory.store().read_line(9), [9; 64]);
        assert_eq!(memory.violation(), None);
    }

    #[test]
    fn commands_that_meet_on_a_line_are_told() {
        let mut reads = memory();
        reads.push(command(1, false, 3));
        reads.push(command(2, false, 3));
        assert_eq!(reads.violation(), None);
        reads.push(command(3, true, 3));
        assert!(reads.violation().unwrap().contains("write of line 0x3"));
    }

    #[test]
    fn entries_of_one_bucket_may_meet() {
        let tag = |class: TagClass, index| (class as u16) << 7 | index;
        let pte = |index, slot: u32| LineCommand {
            mask: 0xf002 << (16 * slot),
            ..command(tag(TagClass::PteWrite, index), true, 3)
        };
        let mut memory = memory();
        memory.push(pte(1, 0));
        memory.push(pte(2, 3));
        memory.push(command(tag(TagClass::Walk, 4), false, 3));
        assert_eq!(memory.violation(), None);
        memory.push(command(tag(TagClass::Walk, 2), false, 3));
        assert!(memory.violation().is_some());
    }
}
