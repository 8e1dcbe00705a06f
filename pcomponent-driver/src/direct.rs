//! Access without a cache: every read and write is a request.

use splitmem_abi::geometry::{LINE_BYTES, LINE_SHIFT};
use splitmem_abi::request::Op;

use crate::error::MemoryError;
use crate::link::Link;
use crate::region::Region;
use crate::span::{parts, Part};
use crate::transport::{Completion, Work, PAGE_BYTES};

/// Requests handed over at once.
const BATCH: usize = 128;

/// The whole pages of a range, and the lines of what is left.
fn units(start: usize, len: usize) -> impl Iterator<Item = Unit> {
    parts(start, len, PAGE_BYTES).flat_map(|page| {
        let whole = page.len == PAGE_BYTES;
        let lines = parts(page.unit * PAGE_BYTES + page.offset, page.len, LINE_BYTES)
            .map(move |line| Unit::Line(Part { at: page.at + line.at, ..line }))
            .take(if whole { 0 } else { usize::MAX });
        whole.then_some(Unit::Page(page)).into_iter().chain(lines)
    })
}

#[derive(Clone, Copy)]
enum Unit {
    Page(Part),
    Line(Part),
}

impl Unit {
    fn part(self) -> Part {
        match self {
            Self::Page(part) | Self::Line(part) => part,
        }
    }

    fn va(self, region: &Region) -> u64 {
        match self {
            Self::Page(part) => region.page_va(part.unit),
            Self::Line(part) => region.va + ((part.unit as u64) << LINE_SHIFT),
        }
    }
}

pub(crate) fn read(
    link: &Link,
    region: &Region,
    start: usize,
    out: &mut [u8],
) -> Result<(), MemoryError> {
    let work = |unit| match unit {
        Unit::Page(_) => Work::ReadPage,
        Unit::Line(_) => Work::ReadLine,
    };
    let units: Vec<Unit> = units(start, out.len()).collect();
    for batch in units.chunks(BATCH) {
        let done = run(link, region, batch, work)?;
        for (unit, completion) in batch.iter().zip(done) {
            let part = unit.part();
            out[part.range()].copy_from_slice(&completion.data[part.offset..][..part.len]);
        }
    }
    Ok(())
}

pub(crate) fn write(
    link: &Link,
    region: &Region,
    start: usize,
    bytes: &[u8],
) -> Result<(), MemoryError> {
    let work = |unit| match unit {
        Unit::Page(part) => {
            let mut data: Box<[u8; PAGE_BYTES]> = bytemuck::zeroed_box();
            data.copy_from_slice(&bytes[part.range()]);
            Work::WritePage { data }
        }
        Unit::Line(part) => {
            let mut data = Box::new([0; LINE_BYTES]);
            data[part.offset..][..part.len].copy_from_slice(&bytes[part.range()]);
            Work::WriteLine { data, mask: part.mask() }
        }
    };
    let units: Vec<Unit> = units(start, bytes.len()).collect();
    for batch in units.chunks(BATCH) {
        run(link, region, batch, work)?;
    }
    Ok(())
}

/// An atomic on the 8 bytes at `start`; gives the old value.
pub(crate) fn atomic(
    link: &Link,
    region: &Region,
    start: usize,
    op: Op,
    operand: u64,
    expected: u64,
) -> Result<u64, MemoryError> {
    let va = region.va + start as u64;
    let work = Work::Atomic { op, operand, expected };
    let mut done = link.run(vec![(region.pid, va, work)])?;
    let old = done.pop().map(|completion| checked(completion, region.pid, va)).transpose()?;
    let mut bytes = [0; 8];
    if let Some(old) = old.as_ref().and_then(|completion| completion.data.get(..8)) {
        bytes.copy_from_slice(old);
    }
    Ok(u64::from_le_bytes(bytes))
}

/// Runs a batch. The others of it are done even if one fails.
fn run(
    link: &Link,
    region: &Region,
    batch: &[Unit],
    work: impl Fn(Unit) -> Work,
) -> Result<Vec<Completion>, MemoryError> {
    let works = batch.iter().map(|unit| (region.pid, unit.va(region), work(*unit))).collect();
    let done = link.run(works)?;
    done.into_iter()
        .zip(batch)
        .map(|(completion, unit)| checked(completion, region.pid, unit.va(region)))
        .collect()
}

/// The completion, or the error that its status stands for.
pub(crate) fn checked(
    completion: Completion,
    pid: u16,
    va: u64,
) -> Result<Completion, MemoryError> {
    match MemoryError::from_status(completion.status, pid, va) {
        None => Ok(completion),
        Some(error) => Err(error),
    }
}
