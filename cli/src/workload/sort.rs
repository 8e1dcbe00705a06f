//! Merge sort of lines, in the manner of an external sort: a small buffer of the host forms sorted
//! runs, and merging them reads and writes streams in the memory.
//!
//! Lines are compared byte by byte, without their line ends. In the memory a line is a record
//! `{length: u32, bytes}`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::memory::{load, MemoryError, WorkMemory};
use super::{Outcome, WorkError, Workload};
use crate::facts::Facts;

/// Runs that one merge reads.
const FAN_IN: usize = 8;
const HEADER: u64 = 4;

/// Sorts the lines of a text.
#[derive(Debug)]
pub struct Sort<'a> {
    /// The text.
    pub text: &'a [u8],
    /// Bytes of text that the host sorts at a time (more if a line is longer).
    pub run_bytes: u64,
}

/// The lines in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Sorted {
    text: Vec<u8>,
    lines: u64,
    runs: u64,
    passes: u64,
}

impl Sorted {
    /// The lines in order, each ended by a line feed.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

impl Workload for Sort<'_> {
    type Outcome = Sorted;

    fn run<M: WorkMemory>(
        &self,
        memory: &mut M,
        watch: &mut dyn FnMut(u64, u64),
    ) -> Result<Sorted, WorkError> {
        if self.text.is_empty() {
            return Err(WorkError::Empty("the text has no lines"));
        }
        if lines(self.text).any(|line| u32::try_from(line.len()).is_err()) {
            return Err(WorkError::TooLarge("a line of 4 GiB or more"));
        }
        let lines = lines(self.text).count() as u64;
        let source = load(memory, self.text)?;
        let bytes = self.text.len() as u64 + lines * HEADER;
        let (mut from, mut to) = (memory.alloc(bytes)?, memory.alloc(bytes)?);
        let mut runs = self.form_runs(memory, source, from)?;
        memory.free(source)?;

        let formed = runs.len() as u64;
        let total = lines * passes(runs.len());
        let (mut pass, mut merged) = (0, 0);
        while runs.len() > 1 {
            let mut next = Vec::with_capacity(runs.len().div_ceil(FAN_IN));
            let mut at = to;
            for group in runs.chunks_mut(FAN_IN) {
                let start = at;
                at = merge(memory, group, at, &mut || {
                    merged += 1;
                    watch(merged, total);
                })?;
                next.push(Run { at: start, end: at });
            }
            runs = next;
            std::mem::swap(&mut from, &mut to);
            pass += 1;
        }
        let mut text = Vec::with_capacity(self.text.len() + 1);
        for mut run in runs {
            while let Some(line) = run.next(memory)? {
                text.extend_from_slice(&line);
                text.push(b'\n');
            }
        }
        memory.free(from)?;
        memory.free(to)?;
        Ok(Sorted { text, lines, runs: formed, passes: pass })
    }
}

impl Sort<'_> {
    /// Reads the text piece by piece, sorts each, and writes it as a run from `at` on.
    fn form_runs<M: WorkMemory>(
        &self,
        memory: &mut M,
        source: u64,
        mut at: u64,
    ) -> Result<Vec<Run>, MemoryError> {
        let length = self.text.len() as u64;
        let mut runs = Vec::new();
        let mut buffer = Vec::new();
        let mut done = 0;
        while done < length || !buffer.is_empty() {
            let kept = buffer.len();
            let more = self.run_bytes.min(length - done);
            buffer.resize(kept + more as usize, 0);
            memory.read(source + done, &mut buffer[kept..])?;
            done += more;
            // Whole lines only; the start of the last one waits for its rest.
            let whole = if done == length {
                buffer.len()
            } else {
                buffer.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1)
            };
            if whole == 0 {
                continue;
            }
            let mut sorted: Vec<&[u8]> = lines(&buffer[..whole]).collect();
            sorted.sort_unstable();
            let start = at;
            for line in sorted {
                at = append(memory, at, line)?;
            }
            memory.operation("form run");
            runs.push(Run { at: start, end: at });
            buffer.drain(..whole);
        }
        Ok(runs)
    }
}

/// Records in a row, those before `at` already taken.
struct Run {
    at: u64,
    end: u64,
}

impl Run {
    /// Takes the next line.
    fn next<M: WorkMemory>(&mut self, memory: &mut M) -> Result<Option<Vec<u8>>, MemoryError> {
        if self.at >= self.end {
            return Ok(None);
        }
        let length = memory.read_u32(self.at)?;
        let after = self.at + HEADER + u64::from(length);
        if after > self.end {
            // The length did not come back as it was written.
            let bytes = after - self.at;
            return Err(MemoryError::NotAllocated { address: self.at, bytes });
        }
        let mut line = vec![0; length as usize];
        memory.read(self.at + HEADER, &mut line)?;
        self.at = after;
        Ok(Some(line))
    }
}

/// Merges sorted runs into one from `at` on; gives its end.
fn merge<M: WorkMemory>(
    memory: &mut M,
    runs: &mut [Run],
    mut at: u64,
    merged: &mut dyn FnMut(),
) -> Result<u64, MemoryError> {
    let mut heads = BinaryHeap::with_capacity(runs.len());
    for (i, run) in runs.iter_mut().enumerate() {
        if let Some(line) = run.next(memory)? {
            heads.push(Reverse((line, i)));
        }
    }
    while let Some(Reverse((line, i))) = heads.pop() {
        at = append(memory, at, &line)?;
        if let Some(line) = runs[i].next(memory)? {
            heads.push(Reverse((line, i)));
        }
        memory.operation("merge line");
        merged();
    }
    Ok(at)
}

/// Writes a record; gives its end.
fn append<M: WorkMemory>(memory: &mut M, at: u64, line: &[u8]) -> Result<u64, MemoryError> {
    memory.write_u32(at, line.len() as u32)?;
    memory.write(at + HEADER, line)?;
    Ok(at + HEADER + line.len() as u64)
}

/// The lines of a text without their line feeds.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&b| b == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// Merge passes that so many runs take.
fn passes(mut runs: usize) -> u64 {
    let mut passes = 0;
    while runs > 1 {
        runs = runs.div_ceil(FAN_IN);
        passes += 1;
    }
    passes
}

impl Outcome for Sorted {
    fn difference(&self, oracle: &Self) -> Option<String> {
        if self.text == oracle.text {
            return None;
        }
        let show = |line: Option<&[u8]>| {
            line.map_or("nothing".to_owned(), |line| {
                format!("{:?}", String::from_utf8_lossy(&line[..line.len().min(60)]))
            })
        };
        let (mut ours, mut right) = (lines(&self.text), lines(&oracle.text));
        (1..).find_map(|number| {
            let (a, b) = (ours.next(), right.next());
            (a != b).then(|| format!("line {number} is {}, expected {}", show(a), show(b)))
        })
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        facts.add("lines", "Lines sorted", self.lines, "lines");
        facts.add("runs", "Runs formed", self.runs, "runs");
        facts.add("merge_passes", "Merge passes", self.passes, "passes");
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::LocalMemory;
    use proptest::prelude::*;

    fn sort(text: &[u8], run_bytes: u64) -> Sorted {
        Sort { text, run_bytes }.run(&mut LocalMemory::new(), &mut |_, _| {}).unwrap()
    }

    #[test]
    fn lines_are_sorted_over_several_passes() {
        let text: String = (0..1000).map(|i| format!("{:04} line\n", i * 7919 % 1000)).collect();
        let sorted = sort(text.as_bytes(), 64);
        let expected: String = (0..1000).map(|i| format!("{i:04} line\n")).collect();
        assert_eq!(String::from_utf8_lossy(sorted.text()), expected);
        // Six lines of ten bytes fit in 64: 167 runs or a few more, merged by eight.
        assert_eq!((sorted.passes, sorted.lines), (3, 1000));
    }

    #[test]
    fn a_difference_names_the_line() {
        let (a, b) = (sort(b"b\na\n", 99), sort(b"c\na\n", 99));
        assert_eq!(a.difference(&a), None);
        assert_eq!(a.difference(&b).unwrap(), "line 2 is \"b\", expected \"c\"");
        let text = a.difference(&sort(b"a\n", 99)).unwrap();
        assert_eq!(text, "line 2 is \"b\", expected nothing");
    }

    proptest! {
        #[test]
        fn it_sorts_like_the_standard_library(
            text in prop_oneof!["[ab\n]{1,200}", "([a-z]{0,30}\n){1,60}[a-z]{0,9}"]
                .prop_filter("a text", |text| !text.is_empty()),
            run_bytes in 1u64..100,
        ) {
            let mut expected: Vec<&[u8]> = lines(text.as_bytes()).collect();
            expected.sort();
            let sorted = sort(text.as_bytes(), run_bytes);
            prop_assert_eq!(lines(sorted.text()).collect::<Vec<_>>(), expected);
        }
    }
}
