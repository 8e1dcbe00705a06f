//! [`InFlight`]: jobs at request ports that answer out of order, told apart by tags.

use std::collections::VecDeque;

use slab::Slab;
use splitmem_abi::config::PORTS;
use splitmem_abi::geometry::LINE_SHIFT;
use splitmem_abi::request::{Request, Response};

use super::job::Job;
use crate::transport::{Completion, Submission, TransportError};

/// The port that a line's requests go to.
///
/// The component keeps the order of two requests of one pid to one line in the order in which its
/// ports accept them. Always sending a line to the same port makes that the order of sending, and
/// spreads the lines of a page over all ports.
pub fn port_of(va: u64) -> usize {
    (va >> LINE_SHIFT) as usize % PORTS
}

struct Flying {
    job: Job,
    /// Requests of it not yet taken, from this line on.
    next_line: u32,
    submitted: Option<u64>,
}

/// Jobs in flight. Every request carries a tag of its own, at most 65,536 at once.
#[derive(Default)]
pub struct InFlight {
    jobs: Slab<Flying>,
    /// Jobs with requests not yet taken, oldest first.
    unsent: VecDeque<usize>,
    /// Tag to job and line.
    tags: Slab<(usize, u32)>,
    /// One request taken from the oldest job and not yet sent, per port.
    waiting: [VecDeque<Request>; PORTS],
}

impl InFlight {
    /// Submissions in flight.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Takes a submission; `now` is the cycle, where cycles are counted.
    ///
    /// # Errors
    /// [`TransportError::BadSubmission`].
    pub fn submit(
        &mut self,
        submission: Submission,
        now: Option<u64>,
    ) -> Result<(), TransportError> {
        let flying = Flying { job: Job::new(submission)?, next_line: 0, submitted: now };
        self.unsent.push_back(self.jobs.insert(flying));
        Ok(())
    }

    /// The request to put on `port` next, if there is one. It stays until [`Self::sent`].
    pub fn offer(&mut self, port: usize) -> Option<&Request> {
        while self.waiting[port].is_empty() && self.tags.len() < 1 << 16 {
            let key = *self.unsent.front()?;
            let flying = &mut self.jobs[key];
            let line = flying.next_line;
            let tag = self.tags.insert((key, line)) as u16;
            let request = flying.job.request(line, tag);
            flying.next_line += 1;
            if flying.next_line == flying.job.lines() {
                self.unsent.pop_front();
            }
            self.waiting[port_of(request.va)].push_back(request);
        }
        self.waiting[port].front()
    }

    /// The port took what was offered.
    pub fn sent(&mut self, port: usize) {
        self.waiting[port].pop_front();
    }

    /// Takes an answer; gives the completion if it was its job's last one.
    ///
    /// # Errors
    /// [`TransportError::Protocol`] if no request with its tag is in flight.
    pub fn answer(
        &mut self,
        response: &Response,
        now: Option<u64>,
    ) -> Result<Option<Completion>, TransportError> {
        let Some((key, line)) = self.tags.try_remove(response.tag as usize) else {
            return Err(TransportError::Protocol(format!(
                "an answer with tag {}, which is not in flight",
                response.tag
            )));
        };
        if !self.jobs[key].job.answer(line, response) {
            return Ok(None);
        }
        let flying = self.jobs.remove(key);
        let cycles = now.zip(flying.submitted).map(|(now, then)| now - then);
        Ok(Some(flying.job.finish(cycles)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    use splitmem_abi::request::{Op, Status};

    use super::*;
    use crate::transport::{Work, PAGE_BYTES};

    /// A component that answers in random order, though each line in order.
    #[test]
    fn answers_in_any_order_find_their_jobs() {
        let seed = 11;
        println!("seed {seed}");
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut flying = InFlight::default();
        let mut expected = HashMap::new();
        for id in 0..40u64 {
            let page: [u8; PAGE_BYTES] = std::array::from_fn(|i| (i / 64) as u8 ^ id as u8);
            let work = if id % 2 == 0 {
                Work::WritePage { data: Box::new(page) }
            } else {
                expected.insert(id, page.map(|byte| byte ^ 1));
                Work::ReadPage
            };
            // Each odd job reads the page that the even one before it wrote.
            flying.submit(Submission { id, pid: 1, va: (id / 2) << 12, work }, Some(id)).unwrap();
        }
        let mut memory: HashMap<u64, [u8; 64]> = HashMap::new();
        let mut accepted: Vec<Request> = Vec::new();
        let mut ports = [0u32; PORTS];
        let mut finished = 0;
        while finished < 40 {
            let port = rng.random_range(0..PORTS);
            if accepted.len() < 200 && rng.random_bool(0.6) {
                if let Some(request) = flying.offer(port).copied() {
                    flying.sent(port);
                    accepted.push(request);
                    ports[port] += 1;
                }
                continue;
            }
            if accepted.is_empty() {
                continue;
            }
            let pick = rng.random_range(0..accepted.len());
            let va = accepted[pick].va;
            let first = accepted.iter().position(|r| r.va == va).unwrap();
            let request = accepted.remove(first);
            let line = memory.entry(va).or_insert([0; 64]);
            if request.op == Op::Write {
                *line = request.data;
            }
            let data = if request.op == Op::Read { *line } else { [0; 64] };
            let response = Response { tag: request.tag, status: Status::Ok, data };
            if let Some(done) = flying.answer(&response, Some(1000)).unwrap() {
                finished += 1;
                assert_eq!(done.cycles, Some(1000 - done.id));
                if let Some(page) = expected.remove(&done.id) {
                    assert_eq!(done.data, page);
                }
            }
        }
        assert!(flying.is_empty() && expected.is_empty());
        assert_eq!(ports, [40 * 32; PORTS]);
    }

    #[test]
    fn an_unknown_tag_breaks_the_contract() {
        let response = Response { tag: 3, status: Status::Ok, data: [0; 64] };
        let answer = InFlight::default().answer(&response, None);
        assert!(matches!(answer, Err(TransportError::Protocol(_))));
    }
}
