//! The recent past, to be told when something went wrong.

use super::world::World;
use splitmem_abi::geometry::{page_key, LINE_SHIFT};
use splitmem_abi::request::{Op, Status};
use std::collections::VecDeque;

/// Entries that are kept.
const DEPTH: usize = 1 << 16;
/// Entries that are told.
const TOLD: usize = 60;

/// What happened.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A request was accepted.
    Accepted { port: u8, tag: u16, op: u8, pid: u16, va: u64, mask: u64 },
    /// It took effect.
    Retired { port: u8, tag: u16, status: u8, pid: u16, va: u64 },
    /// Its answer came.
    Answered { port: u8, tag: u16, status: u8, pid: u16, va: u64 },
    /// The monitor did something; to all pages, as far as this knows.
    Monitor(String),
}

/// The last things that happened.
#[derive(Default)]
pub(super) struct History(VecDeque<(u64, Event)>);

impl History {
    pub fn add(&mut self, cycle: u64, event: Event) {
        if self.0.len() == DEPTH {
            self.0.pop_front();
        }
        self.0.push_back((cycle, event));
    }

    /// What happened to the page of `va` and to those that share its frame, the newest last.
    pub fn of_page(&self, world: &World, pid: u16, va: u64) -> Vec<String> {
        let mut pages = vec![(pid, page_key(va))];
        if let Some(index) = world.find(pid, va) {
            for group in world.groups.iter().filter(|group| group.pages.contains(&index)) {
                let others = group.pages.iter().map(|&i| &world.pages[i]);
                pages.extend(others.map(|page| (page.pid, page_key(page.va))));
            }
        }
        let concerns = |event: &Event| match *event {
            Event::Accepted { pid, va, .. }
            | Event::Retired { pid, va, .. }
            | Event::Answered { pid, va, .. } => pages.contains(&(pid, page_key(va))),
            Event::Monitor(_) => true,
        };
        self.tell(concerns)
    }

    /// What happened at all, the newest last.
    pub fn all(&self) -> Vec<String> {
        self.tell(|_| true)
    }

    fn tell(&self, concerns: impl Fn(&Event) -> bool) -> Vec<String> {
        let mut lines: Vec<String> = self
            .0
            .iter()
            .rev()
            .filter(|(_, event)| concerns(event))
            .take(TOLD)
            .map(|(cycle, event)| format!("{cycle:>10}  {}", describe(event)))
            .collect();
        lines.reverse();
        lines
    }
}

fn describe(event: &Event) -> String {
    match *event {
        Event::Accepted { port, tag, op, pid, va, mask } => {
            let mask =
                if op == Op::Write as u8 { format!(" mask {mask:016x}") } else { String::new() };
            format!("accepted  port {port} tag {tag:04x} {:<12} {}{mask}", op_name(op), at(pid, va))
        }
        Event::Retired { port, tag, status, pid, va } => {
            format!(
                "retired   port {port} tag {tag:04x} {:<12} {}",
                status_name(status),
                at(pid, va)
            )
        }
        Event::Answered { port, tag, status, pid, va } => {
            format!(
                "answered  port {port} tag {tag:04x} {:<12} {}",
                status_name(status),
                at(pid, va)
            )
        }
        Event::Monitor(ref what) => format!("monitor   {what}"),
    }
}

/// An address as all messages write it.
pub(super) fn at(pid: u16, va: u64) -> String {
    format!("pid {pid:04x} va {va:012x} (line {:x})", va >> LINE_SHIFT)
}

pub(super) fn op_name(op: u8) -> String {
    Op::from_code(op).map_or_else(|| format!("op {op}"), |op| format!("{op:?}"))
}

pub(super) fn status_name(status: u8) -> String {
    Status::from_code(status).map_or_else(|| format!("status {status}"), |s| format!("{s:?}"))
}
