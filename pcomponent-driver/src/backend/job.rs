//! [`Job`]: a submission taken apart into line requests, and put together again from their answers.

use splitmem_abi::geometry::{LINE_BYTES, LINE_SHIFT, PAGE_SHIFT, VA_END};
use splitmem_abi::request::{Op, Request, Response, Status, FULL_MASK};

use crate::transport::{Completion, Submission, TransportError, Work, PAGE_BYTES};

/// Line requests that a page takes.
pub const LINES_PER_PAGE: u32 = 1 << (PAGE_SHIFT - LINE_SHIFT);

/// A submission under way. Its requests may be answered in any order.
#[derive(Debug)]
pub struct Job {
    submission: Submission,
    /// What was read so far, in its place.
    data: Vec<u8>,
    status: Status,
    unanswered: u32,
}

impl Job {
    /// Checks a submission and takes it.
    ///
    /// # Errors
    /// [`TransportError::BadSubmission`] if its address is not aligned as its work needs or lies
    /// beyond 48 bits, or an atomic is none.
    pub fn new(submission: Submission) -> Result<Self, TransportError> {
        let (align, read, lines) = match &submission.work {
            Work::ReadLine => (LINE_BYTES, LINE_BYTES, 1),
            Work::WriteLine { .. } => (LINE_BYTES, 0, 1),
            Work::ReadPage => (PAGE_BYTES, PAGE_BYTES, LINES_PER_PAGE),
            Work::WritePage { .. } => (PAGE_BYTES, 0, LINES_PER_PAGE),
            Work::Atomic { op, .. } if op.is_atomic() => (8, 8, 1),
            Work::Atomic { op, .. } => {
                return Err(TransportError::BadSubmission(format!("{op:?} is not an atomic")))
            }
        };
        if submission.va % align as u64 != 0 || submission.va >= VA_END {
            return Err(TransportError::BadSubmission(format!(
                "address {:#x} is beyond 48 bits or not aligned to {align} bytes",
                submission.va
            )));
        }
        Ok(Self { submission, data: vec![0; read], status: Status::Ok, unanswered: lines })
    }

    /// Line requests that it takes.
    pub fn lines(&self) -> u32 {
        match self.submission.work {
            Work::ReadPage | Work::WritePage { .. } => LINES_PER_PAGE,
            _ => 1,
        }
    }

    /// The request of its `line`-th line (from 0).
    pub fn request(&self, line: u32, tag: u16) -> Request {
        let Submission { pid, va, ref work, .. } = self.submission;
        let line_va = va + (line as u64) * LINE_BYTES as u64;
        match work {
            Work::ReadLine | Work::ReadPage => Request::read(tag, pid, line_va),
            Work::WriteLine { data, mask } => Request::write(tag, pid, va, *mask, **data),
            Work::WritePage { data } => {
                let mut bytes = [0; LINE_BYTES];
                let start = line as usize * LINE_BYTES;
                bytes.copy_from_slice(&data[start..start + LINE_BYTES]);
                Request::write(tag, pid, line_va, FULL_MASK, bytes)
            }
            Work::Atomic { op: Op::CompareSwap, operand, expected } => {
                Request::compare_swap(tag, pid, va, *expected, *operand)
            }
            Work::Atomic { operand, .. } => Request::fetch_add(tag, pid, va, *operand),
        }
    }

    /// Takes the answer to the request of `line`; tells whether it was the last one.
    pub fn answer(&mut self, line: u32, response: &Response) -> bool {
        if response.status != Status::Ok {
            if self.status == Status::Ok {
                self.status = response.status;
            }
        } else if !self.data.is_empty() {
            let width = self.data.len().min(LINE_BYTES);
            let start = line as usize * LINE_BYTES;
            self.data[start..start + width].copy_from_slice(&response.data[..width]);
        }
        self.unanswered -= 1;
        self.unanswered == 0
    }

    /// The completion, after the last answer.
    pub fn finish(self, cycles: Option<u64>) -> Completion {
        let data = if self.status == Status::Ok { self.data } else { Vec::new() };
        Completion { id: self.submission.id, status: self.status, data, cycles }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(va: u64, work: Work) -> Submission {
        Submission { id: 9, pid: 3, va, work }
    }

    fn ok(data: [u8; LINE_BYTES]) -> Response {
        Response { tag: 0, status: Status::Ok, data }
    }

    #[test]
    fn a_page_is_put_together_from_answers_in_any_order() {
        let mut job = Job::new(submission(0x3000, Work::ReadPage)).unwrap();
        for line in (0..LINES_PER_PAGE).rev() {
            assert_eq!(job.request(line, 5), Request::read(5, 3, 0x3000 + 64 * line as u64));
            assert_eq!(job.answer(line, &ok([line as u8; 64])), line == 0);
        }
        let completion = job.finish(Some(77));
        assert_eq!((completion.id, completion.status), (9, Status::Ok));
        assert_eq!(completion.cycles, Some(77));
        for (i, byte) in completion.data.iter().enumerate() {
            assert_eq!(*byte as usize, i / 64);
        }
    }

    #[test]
    fn a_written_page_reaches_its_lines() {
        let mut data = Box::new([0; PAGE_BYTES]);
        for (i, byte) in data.iter_mut().enumerate() {
            *byte = (i / 64) as u8 ^ (i % 64) as u8;
        }
        let job = Job::new(submission(0x3000, Work::WritePage { data: data.clone() })).unwrap();
        for line in 0..LINES_PER_PAGE {
            let request = job.request(line, 0);
            let start = line as usize * 64;
            assert_eq!(request.va, 0x3000 + start as u64);
            assert_eq!(request.mask, FULL_MASK);
            assert_eq!(request.data[..], data[start..start + 64]);
        }
    }

    #[test]
    fn the_first_bad_status_stands_and_nothing_is_read() {
        let mut job = Job::new(submission(0x3000, Work::ReadPage)).unwrap();
        for line in 0..LINES_PER_PAGE {
            let status = match line {
                7 => Status::Uncorrectable,
                20 => Status::NotMapped,
                _ => Status::Ok,
            };
            job.answer(line, &Response { tag: 0, status, data: [1; 64] });
        }
        let completion = job.finish(None);
        assert_eq!((completion.status, completion.data.len()), (Status::Uncorrectable, 0));
    }

    #[test]
    fn an_atomic_carries_its_operands_and_answers_eight_bytes() {
        let work = Work::Atomic { op: Op::CompareSwap, operand: 5, expected: 4 };
        let mut job = Job::new(submission(0x1008, work)).unwrap();
        assert_eq!(job.request(0, 2), Request::compare_swap(2, 3, 0x1008, 4, 5));
        let mut data = [0; 64];
        data[0] = 4;
        assert!(job.answer(0, &ok(data)));
        assert_eq!(job.finish(None).data, 4u64.to_le_bytes());
    }

    #[test]
    fn what_cannot_be_expressed_is_refused() {
        let wrong = [
            submission(0x20, Work::ReadLine),
            submission(0x40, Work::ReadPage),
            submission(1 << 48, Work::ReadLine),
            submission(0x4, Work::Atomic { op: Op::FetchAdd, operand: 0, expected: 0 }),
            submission(0x8, Work::Atomic { op: Op::Read, operand: 0, expected: 0 }),
        ];
        for submission in wrong {
            let answer = Job::new(submission.clone());
            assert!(matches!(answer, Err(TransportError::BadSubmission(_))), "{submission:?}");
        }
    }
}
