//! The memory test at the start, before requests are let in.
//!
//! The monitor cannot read memory; the table engine can. It writes and reads page-table entries
//! wherever the table is said to be, so each tested line is for once a bucket of a table of its own.
//!
//! What is tested, in a time that grows with the logarithm of the memory's size: every address line
//! (the first and the last line of memory, and all whose number is a power of two, hold different
//! entries at the same time), and every data line that an entry uses, in all four entries of each of
//! these lines, with both values. That is what broken solder, a wrong chip or a wrong configuration
//! breaks. Single cells elsewhere are not looked at; a controller with ECC reports those when they are
//! used.

use crate::allocator::{put_unasked, Allocator};
use crate::error::Error;
use crate::hal::{Wait, Waiting};
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::{PageSize, LINE_SHIFT, PAGE_SHIFT};
use splitmem_abi::hash::bucket;
use splitmem_abi::mailbox::{MemoryFault, Range, ReturnCode};
use splitmem_abi::pte::{FRAME_LSB, KEY_LSB, PID_LSB, PTE_BYTES, SLOTS};
use splitmem_abi::regs::field::{
    IRQ_STATUS, TABLE_BASE, TABLE_SIZE, TE_FLAGS, TE_FRAME, TE_RESULT,
};
use splitmem_abi::regs::{self, TableCommand, MAILBOX_WORDS};

/// Lines of a 4 KiB frame, as a power of two: the smallest table.
const FRAME_LINES: u32 = PAGE_SHIFT - LINE_SHIFT;
/// Page numbers whose place in the bucket does not change which bucket it is.
const PAGES: u64 = 0x5_5555_5555 >> 1 & !((1 << FRAME_LINES) - 1);

/// Memory that does not hold what it is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Byte address of a 32-bit word.
    pub address: u64,
    /// Its wrong bits. None: it is not known which; the whole entry from there on is lost.
    pub bits: u32,
}

impl Fault {
    /// Leaves it in the mailbox, where a host finds it whether it has asked for something or not.
    ///
    /// # Errors
    /// [`Error::Bus`].
    pub fn announce(&self, bus: &mut impl RegisterBus) -> Result<(), Error> {
        let (address_lo, address_hi) = (self.address as u32, (self.address >> 32) as u32);
        let mut payload = [0; MAILBOX_WORDS];
        let record = MemoryFault { address_lo, address_hi, bits: self.bits };
        let length = record.encode(&mut payload);
        put_unasked(bus, ReturnCode::MemoryFault, &payload, length)
    }
}

/// An entry that is written and read back.
#[derive(Clone, Copy)]
struct Sample {
    pid: u16,
    va: u64,
    frame: u32,
}

impl Sample {
    /// With this process, these bits of the page number and this frame, on line `line` of a frame.
    fn new(line: u64, pid: u16, pages: u64, frame: u32) -> Self {
        let base = (pages & !((1 << FRAME_LINES) - 1)) << PAGE_SHIFT;
        let wanted = line as u32 & ((1 << FRAME_LINES) - 1);
        let step = wanted.wrapping_sub(bucket(pid, base, FRAME_LINES)) & ((1 << FRAME_LINES) - 1);
        Self { pid, va: base | (step as u64) << PAGE_SHIFT, frame }
    }

    /// The `slot`-th of a line: neighbours differ in every bit, and lines from one another.
    fn of(line: u64, slot: usize, frame_mask: u32) -> Self {
        let turn = if slot % 2 == 0 { 0 } else { u64::MAX };
        let own = (line as u32).wrapping_mul(0x9e37_79b1) ^ (slot as u32 / 2) << 24;
        let pid = 0x5555 ^ turn as u16 ^ (own >> 20) as u16 & 0x0ff0;
        let pages = (PAGES ^ turn) & PAGES_MASK;
        let frame = (0x0555_5555 ^ turn as u32 ^ own & 0x000f_ffff) & frame_mask;
        Self::new(line, pid, pages, frame)
    }
}

/// Bits of a page number below the one that tells its size.
const PAGES_MASK: u64 = (1 << (splitmem_abi::geometry::HUGE_BIT - PAGE_SHIFT)) - 1;

/// The lines that are tested, for a memory of so many.
fn places(lines: u64) -> impl Iterator<Item = u64> {
    let powers = (0..u64::BITS).map(|bit| 1u64 << bit).take_while(move |&line| line < lines);
    core::iter::once(0).chain(powers).chain(core::iter::once(lines - 1))
}

impl<B: RegisterBus, W: Wait> Allocator<'_, B, W> {
    /// Tests the memory of a component that lets nothing in. The page table has to be made after it.
    pub(crate) fn test_memory(&mut self) -> Result<(), Error> {
        let lines = (self.layout.frames() as u64) << FRAME_LINES;
        self.regs.write(&regs::IRQ_MASK, IRQ_STATUS::TE_DONE.mask())?;
        self.regs.write(&regs::TABLE_SIZE, TABLE_SIZE::LOG2.put(FRAME_LINES))?;
        let mut cleared = None;
        for line in places(lines) {
            let frame = (line >> FRAME_LINES) as u32;
            if cleared != Some(frame) {
                self.clear_frame(frame)?;
                cleared = Some(frame);
            }
        }
        for line in places(lines) {
            for slot in 0..SLOTS {
                self.put_sample(line, Sample::of(line, slot, self.frame_mask()))?;
            }
        }
        for line in places(lines) {
            for slot in 0..SLOTS {
                let sample = Sample::of(line, slot, self.frame_mask());
                if let Some(bits) = self.compare(line, sample)? {
                    let fault = self.locate(line, slot, bits)?;
                    return Err(Error::BadMemory(fault));
                }
            }
        }
        Ok(())
    }

    /// Frame numbers that an entry keeps.
    fn frame_mask(&self) -> u32 {
        TE_FRAME::FRAME.mask() & ((1u64 << (self.hardware.pa_bits - PAGE_SHIFT)) - 1) as u32
    }

    fn clear_frame(&mut self, frame: u32) -> Result<(), Error> {
        self.push(PageSize::Small, frame, 1)?;
        for _ in 0..self.regs.patience {
            if self.pop(PageSize::Small)?.is_some() {
                return Ok(());
            }
            self.regs.wait.wait(Waiting::Frame);
        }
        Err(Error::Stuck(Waiting::Frame))
    }

    /// Lets the frame of a line be the page table.
    fn look_at(&mut self, line: u64) -> Result<(), Error> {
        self.regs.write(&regs::TABLE_BASE, TABLE_BASE::FRAME.put((line >> FRAME_LINES) as u32))
    }

    /// Writes an entry. Whether it arrived is seen when it is read.
    fn put_sample(&mut self, line: u64, sample: Sample) -> Result<(), Error> {
        self.look_at(line)?;
        self.regs.write(&regs::TE_FRAME, TE_FRAME::FRAME.put(sample.frame))?;
        let flags = TE_FLAGS::READ.put(1) | TE_FLAGS::SHARED.put(1) | TE_FLAGS::PRESENT.put(1);
        self.regs.write(&regs::TE_FLAGS, flags)?;
        self.start(TableCommand::Insert, Range { pid: sample.pid, va: sample.va, pages: 1 })?;
        self.finish_quietly().map(drop)
    }

    /// Reads an entry back: the wrong bits of its frame, all of them zero if it is not found.
    fn compare(&mut self, line: u64, sample: Sample) -> Result<Option<u32>, Error> {
        self.look_at(line)?;
        let done = self.ask(Range { pid: sample.pid, va: sample.va, pages: 1 })?;
        let result = self.regs.read(&regs::TE_RESULT)?;
        if done.error.is_some() || TE_RESULT::VALID.get(result) == 0 {
            return Ok(Some(0));
        }
        let wrong = TE_RESULT::FRAME.get(result) ^ sample.frame;
        Ok((wrong != 0).then_some(wrong))
    }

    /// Where a fault is that was seen in a line's entry.
    fn locate(&mut self, line: u64, slot: usize, bits: u32) -> Result<Fault, Error> {
        let entry = (line << LINE_SHIFT) + (slot * PTE_BYTES) as u64;
        let fault = |bit: u32, bits: u32| Fault {
            address: entry + (bit / u32::BITS * 4) as u64,
            bits: bits << (bit % u32::BITS),
        };
        if bits != 0 {
            return Ok(fault(FRAME_LSB, bits));
        }
        // An entry is not found whose process or page was changed. With all bits but one alike it is
        // found only where that one is as the broken bit is stuck.
        for rest in [0, u64::MAX] {
            let mut found = None;
            let mut finds = 0;
            let pid_bits = (0..u16::BITS).map(|bit| (PID_LSB + bit, 1u16 << bit, 0u64));
            let pages = FRAME_LINES..PAGES_MASK.count_ones();
            let key_bits = pages.map(|bit| (KEY_LSB + bit, 0u16, 1u64 << bit));
            for (bit, pid, pages) in pid_bits.chain(key_bits) {
                let (pid, pages) = (pid ^ rest as u16, (pages ^ rest) & PAGES_MASK);
                let sample = Sample::new(line, pid, pages, 0);
                if self.holds(line, slot, sample)? {
                    found = Some(fault(bit, 1));
                    finds += 1;
                }
            }
            if let (Some(fault), 1) = (found, finds) {
                return Ok(fault);
            }
        }
        Ok(Fault { address: entry, bits: 0 })
    }

    /// Whether the slot of a line holds this entry.
    fn holds(&mut self, line: u64, slot: usize, sample: Sample) -> Result<bool, Error> {
        self.clear_frame((line >> FRAME_LINES) as u32)?;
        // Others take the slots before it.
        for other in 0..slot {
            let filler = Sample::new(line, !sample.pid ^ other as u16, 0, 0);
            self.put_sample(line, filler)?;
        }
        self.put_sample(line, sample)?;
        Ok(self.compare(line, sample)?.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn each_place_is_tested_once_and_each_address_line_is() {
        for lines in [64u64, 128, 8192 << 6, (100_000 << 6) + 64] {
            let places: Vec<u64> = places(lines).collect();
            let mut sorted = places.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), places.len(), "{lines}: {places:?}");
            assert!(places.iter().all(|&line| line < lines));
            for bit in 0..63 - lines.leading_zeros() {
                assert!(places.contains(&(1 << bit)), "{lines}: {bit}");
            }
        }
    }

    #[test]
    fn samples_stand_where_they_are_to_and_neighbours_differ_in_all_bits() {
        for line in places(1 << 20) {
            for slot in 0..SLOTS {
                let sample = Sample::of(line, slot, u32::MAX >> 4);
                assert_eq!(bucket(sample.pid, sample.va, FRAME_LINES) as u64, line % 64);
                assert_eq!(PageSize::of(sample.va), PageSize::Small);
            }
            let keys =
                [0, 1, 2, 3].map(|slot| Sample::of(line, slot, 0x1fff)).map(|s| (s.pid, s.va));
            assert!((1..SLOTS).all(|i| !keys[..i].contains(&keys[i])), "{line}: {keys:x?}");
            let [a, b] = [0, 1].map(|slot| Sample::of(line, slot, u32::MAX >> 4));
            assert_eq!((a.pid ^ b.pid, a.frame ^ b.frame), (0xffff, 0x0fff_ffff));
        }
    }
}
