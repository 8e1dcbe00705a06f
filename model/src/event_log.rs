//! The event log: a queue of fixed depth that counts what it had to drop.

use splitmem_abi::event::Event;
use splitmem_abi::regs::field::EVENT_STATUS;
use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct EventLog {
    events: VecDeque<Event>,
    depth: usize,
    dropped: u16,
}

impl EventLog {
    pub fn new(depth: u32) -> Self {
        Self { events: VecDeque::new(), depth: depth as usize, dropped: 0 }
    }

    pub fn push(&mut self, event: Event) {
        if self.events.len() < self.depth {
            self.events.push_back(event);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// `EVENT_STATUS`.
    pub fn status(&self) -> u32 {
        EVENT_STATUS::COUNT.put(self.events.len() as u32)
            | EVENT_STATUS::DROPPED.put(self.dropped as u32)
    }

    /// Word `i` of the oldest event; zero if there is none.
    pub fn word(&self, i: usize) -> u32 {
        self.events.front().map_or(0, |event| event.encode()[i])
    }

    /// `EVENT_POP`.
    pub fn pop(&mut self) {
        self.events.pop_front();
    }
}
