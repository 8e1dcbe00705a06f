//! A memory with one fixed latency and no other limit than one command a clock.

use super::{DramStats, LineCommand, LineMemory, LineReply, LineStore};
use std::collections::VecDeque;

/// Replies that may wait to be taken before the memory stops accepting commands.
const REPLY_BACKLOG: usize = 256;

/// Answers every command exactly `latency` component clocks after it was pushed: infinite banks,
/// one command a clock, replies in order.
///
/// "Exactly" is counted in [`tick`](LineMemory::tick)s: a command pushed now is returned by
/// [`pop_reply`](LineMemory::pop_reply) after `latency` of them, not before.
pub struct IdealMemory {
    store: LineStore,
    latency: u64,
    accepted_this_clock: bool,
    in_flight: VecDeque<(u64, LineReply)>,
    stats: DramStats,
    now: u64,
}

impl IdealMemory {
    /// A memory over `store` that answers after `latency` component clocks; 0 counts as 1.
    pub fn new(store: LineStore, latency: u32) -> Self {
        let latency = u64::from(latency.max(1));
        Self {
            store,
            latency,
            accepted_this_clock: false,
            in_flight: VecDeque::with_capacity(latency as usize + REPLY_BACKLOG),
            stats: DramStats::default(),
            now: 0,
        }
    }
}

impl LineMemory for IdealMemory {
    #[inline]
    fn can_accept(&self, _write: bool) -> bool {
        !self.accepted_this_clock && self.in_flight.len() < self.latency as usize + REPLY_BACKLOG
    }

    #[inline]
    fn push(&mut self, command: LineCommand) {
        assert!(
            self.can_accept(command.write),
            "a command was pushed while the memory accepted none"
        );
        self.accepted_this_clock = true;
        self.stats.out_of_range += u64::from(command.line >= self.store.lines());
        if command.write {
            self.stats.writes += 1;
        } else {
            self.stats.reads += 1;
            self.stats.read_latency.record(self.latency);
        }
        self.stats.data_clocks += 1;
        let reply = command.perform(&mut self.store);
        self.in_flight.push_back((self.now + self.latency, reply));
    }

    #[inline]
    fn tick(&mut self) {
        self.now += 1;
        self.accepted_this_clock = false;
        self.stats.clocks += 1;
        self.stats.busy_clocks += u64::from(!self.in_flight.is_empty());
    }

    #[inline]
    fn pop_reply(&mut self) -> Option<LineReply> {
        match self.in_flight.front() {
            Some(&(due, _)) if due <= self.now => self.in_flight.pop_front().map(|(_, r)| r),
            _ => None,
        }
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
    use super::super::Fill;
    use super::*;

    fn read(tag: u16, line: u64) -> LineCommand {
        LineCommand { tag, write: false, line, mask: 0, data: [0; 64] }
    }

    fn write(tag: u16, line: u64, mask: u64, byte: u8) -> LineCommand {
        LineCommand { tag, write: true, line, mask, data: [byte; 64] }
    }

    #[test]
    fn sustains_one_command_a_clock_at_the_fixed_latency() {
        const LATENCY: u64 = 12;
        let mut memory = IdealMemory::new(LineStore::new(1 << 16, Fill::Zero), LATENCY as u32);
        let mut replies = 0;
        for clock in 0..1000u64 {
            assert!(memory.can_accept(false));
            memory.push(read(clock as u16, clock));
            assert!(!memory.can_accept(false), "one command a clock");
            memory.tick();
            if let Some(reply) = memory.pop_reply() {
                assert_eq!(u64::from(reply.tag), clock + 1 - LATENCY);
                replies += 1;
            }
            assert_eq!(memory.pop_reply(), None);
        }
        assert_eq!(replies, 1000 - LATENCY + 1);
        assert_eq!(memory.stats().read_latency.percentile(1.0), Some(LATENCY));
        assert_eq!(memory.stats().bytes(), 64_000);
    }

    #[test]
    fn commands_take_effect_in_push_order() {
        let mut memory = IdealMemory::new(LineStore::new(16, Fill::Byte(9)), 3);
        let mut replies = Vec::new();
        for command in [read(0, 4), write(1, 4, 1, 7), read(2, 4), write(3, 4, !0, 8), read(4, 4)] {
            memory.push(command);
            memory.tick();
            replies.extend(memory.pop_reply());
        }
        while !memory.is_idle() {
            memory.tick();
            replies.extend(memory.pop_reply());
        }
        let mut partial = [9; 64];
        partial[0] = 7;
        let data: Vec<_> = replies.iter().map(|r| (r.tag, r.data)).collect();
        assert_eq!(data, [(0, [9; 64]), (1, [0; 64]), (2, partial), (3, [0; 64]), (4, [8; 64])]);
    }

    #[test]
    fn poison_and_lines_beyond_the_end_are_told() {
        let mut memory = IdealMemory::new(LineStore::new(16, Fill::Zero), 1);
        memory.store_mut().poison(2);
        let mut poison = Vec::new();
        for command in [read(0, 2), read(1, 16), write(2, 16, !0, 1), read(3, 3)] {
            memory.push(command);
            memory.tick();
            poison.extend(memory.pop_reply().map(|r| r.poison));
        }
        assert_eq!(poison, [true, true, true, false]);
        assert_eq!(memory.stats().out_of_range, 2);
    }

    #[test]
    fn replies_left_untaken_stop_the_commands() {
        let mut memory = IdealMemory::new(LineStore::new(16, Fill::Zero), 4);
        let mut accepted = 0;
        for _ in 0..1000 {
            if memory.can_accept(false) {
                memory.push(read(0, 1));
                accepted += 1;
            }
            memory.tick();
        }
        assert_eq!(accepted, 4 + REPLY_BACKLOG);
        assert!(memory.pop_reply().is_some());
        assert!(memory.can_accept(false));
    }
}
