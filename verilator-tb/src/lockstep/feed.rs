//! The requests: random, with an aim.

use super::world::{Page, State};
use super::Lockstep;
use crate::port::RawRequest;
use rand::rngs::SmallRng;
use rand::{Rng, RngCore};
use splitmem_abi::config::PORTS;
use splitmem_abi::geometry::{PageSize, LINE_SHIFT};
use splitmem_abi::request::{Op, FULL_MASK};

/// Requests that wait at a port: enough to keep it busy, and few, so that they are chosen late.
const QUEUE: usize = 2;

/// Where the requests come from.
pub(super) struct Feed {
    rng: SmallRng,
    sent: u64,
    next_tag: [u16; PORTS],
    /// No requests until this cycle.
    quiet_until: [u64; PORTS],
    hot: Vec<usize>,
}

impl Feed {
    pub fn new(mut rng: SmallRng) -> Self {
        let next_tag = [rng.random(), rng.random()];
        Self { rng, sent: 0, next_tag, quiet_until: [0; PORTS], hot: Vec::new() }
    }
}

impl Lockstep {
    /// Keeps the ports' queues filled until all requests are sent.
    pub(super) fn send_requests(&mut self) {
        let cycle = self.component.cycle();
        for port in 0..PORTS {
            while self.feed.sent < self.case.requests
                && cycle >= self.feed.quiet_until[port]
                && self.component.port(port).queued() < QUEUE
            {
                let Some((request, page)) = self.choose_request(port) else { break };
                self.feed.sent += 1;
                if let Some(page) = page {
                    self.world.pages[page].in_flight += 1;
                }
                self.checker.sent(port as u8, request, page);
                self.component.port(port).send(request);
                // Now and then let the pipeline run empty.
                if self.feed.rng.random_ratio(1, 4000) {
                    self.feed.quiet_until[port] = cycle + self.feed.rng.random_range(10..1000);
                }
            }
        }
    }

    fn choose_request(&mut self, port: usize) -> Option<(RawRequest, Option<usize>)> {
        let (page, pid, page_va) = self.choose_page()?;
        let rng = &mut self.feed.rng;
        let lines = u64::from(PageSize::of(page_va).lines());
        let line = if rng.random_ratio(3, 4) {
            // A few lines, spread over the page.
            rng.random_range(0..self.shape.hot_lines) * 37 % lines
        } else {
            rng.random_range(0..lines)
        };
        let op = choose_op(rng, &self.shape.ops);
        let mut va = page_va + (line << LINE_SHIFT);
        if op.is_atomic() {
            // Most of them on one word.
            let word = if rng.random() { 0 } else { rng.random_range(0..8) };
            va += word * 8;
        }
        let mut request = RawRequest {
            op: op as u8,
            tag: self.feed.next_tag[port],
            pid,
            va,
            mask: choose_mask(rng),
            data: [0; 64],
        };
        if op.writes() {
            rng.fill_bytes(&mut request.data);
        }
        if op == Op::CompareSwap && rng.random() {
            // What stands there now, so that it often succeeds.
            let mut expected = [0; 8];
            if self.model.read_virtual(pid, va, &mut expected).is_ok() {
                request.data[8..16].copy_from_slice(&expected);
            }
        }
        if rng.random_bool(self.shape.bad) {
            if rng.random() {
                request.op = rng.random_range(4..8);
            } else {
                request.va += rng.random_range(1..8);
            }
        }
        while !self.checker.is_free(port as u8, request.tag) {
            request.tag = request.tag.wrapping_add(1);
        }
        self.feed.next_tag[port] = request.tag.wrapping_add(1);
        Some((request, page))
    }

    /// A page to hit: its index, if it is one of the world's, and its pid and address.
    fn choose_page(&mut self) -> Option<(Option<usize>, u16, u64)> {
        let rng = &mut self.feed.rng;
        let pages = &self.world.pages;
        if self.feed.hot.is_empty() || rng.random_ratio(1, 3000) {
            self.feed.hot =
                (0..self.shape.hot_pages).map(|_| rng.random_range(0..pages.len())).collect();
        }
        let wild = rng.random_bool(self.shape.wild);
        for _ in 0..8 {
            let index = if rng.random_bool(self.shape.hot) {
                self.feed.hot[rng.random_range(0..self.feed.hot.len())]
            } else {
                rng.random_range(0..pages.len())
            };
            let Page { pid, va, state, frozen, .. } = pages[index];
            if wild {
                // Another pid's address, or an address of another region.
                let (pid, va) = if rng.random() {
                    (pid ^ 1 << rng.random_range(0..16), va)
                } else {
                    (pid, va ^ 1 << rng.random_range(30..47))
                };
                // While something is frozen, nothing may go where nobody counts.
                let known = self.world.find(pid, va).is_some();
                return (!known && !self.monitor.freezes()).then_some((None, pid, va));
            }
            if !frozen && (state == State::Mapped || rng.random_ratio(1, 8)) {
                return Some((Some(index), pid, va));
            }
        }
        None
    }
}

fn choose_op(rng: &mut SmallRng, weights: &[u32; 4]) -> Op {
    let mut dice = rng.random_range(0..weights.iter().sum());
    for (op, &weight) in Op::ALL.into_iter().zip(weights) {
        if dice < weight {
            return op;
        }
        dice -= weight;
    }
    Op::Read
}

fn choose_mask(rng: &mut SmallRng) -> u64 {
    match rng.random_range(0..16) {
        0..6 => FULL_MASK,
        6..9 => rng.random(),
        9..12 => 0xff << (8 * rng.random_range(0..8)),
        12..15 => 1 << rng.random_range(0..64),
        _ => 0,
    }
}
