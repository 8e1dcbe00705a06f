//! For checkers and tests: looking in and reaching in, without any of it being a request.

use crate::table::{data_line, Entry};
use crate::Model;
use splitmem_abi::geometry::{PageSize, LINE_BYTES, LINE_SHIFT};

/// Bytes could not be reached by their virtual address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InspectError {
    /// No valid entry of this page.
    #[error("pid {pid}: address {va:#x} is not mapped")]
    NotMapped {
        /// Whose memory.
        pid: u16,
        /// The first address that failed.
        va: u64,
    },
    /// The page has no frame that could be written.
    #[error("pid {pid}: the page of address {va:#x} has no frame yet")]
    NotPresent {
        /// Whose memory.
        pid: u16,
        /// The first address that failed.
        va: u64,
    },
}

/// A frame that was to be granted next stands neither in the free list nor in the zeroing queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("frame {frame:#x} is not pending")]
pub struct FrameNotPending {
    /// Its number.
    pub frame: u32,
}

/// The part of `len` bytes at `address` that lies in one line: its length.
fn within_line(address: u64, len: usize) -> usize {
    len.min(LINE_BYTES - (address as usize & (LINE_BYTES - 1)))
}

impl Model {
    /// The valid entry of the page of `va`, poisoned or not.
    pub fn entry(&self, pid: u16, va: u64) -> Option<Entry> {
        self.table().find(&self.memory, pid, va)
    }

    /// The unmapped and not yet collected entry of the page of `va`.
    pub fn dying_entry(&self, pid: u16, va: u64) -> Option<Entry> {
        self.table().find_dying(&self.memory, pid, va)
    }

    /// The physical line number of the bucket of the page of `va`.
    pub fn bucket_line(&self, pid: u16, va: u64) -> u64 {
        self.memory.wrap(self.table().bucket_line(pid, va))
    }

    /// The physical line number of `va`, if its page has a frame.
    pub fn line_of(&self, pid: u16, va: u64) -> Option<u64> {
        let pte = self.entry(pid, va)?.pte;
        pte.present.then(|| self.memory.wrap(data_line(pte.frame, va)))
    }

    /// Reads a process's memory, whatever its permissions, any alignment, across pages. Pages
    /// without a frame read as zeros.
    ///
    /// # Errors
    /// [`InspectError::NotMapped`].
    pub fn read_virtual(&self, pid: u16, va: u64, out: &mut [u8]) -> Result<(), InspectError> {
        let mut done = 0;
        while done < out.len() {
            let va = va + done as u64;
            let len = within_line(va, out.len() - done);
            let part = &mut out[done..done + len];
            let pte = self.entry(pid, va).ok_or(InspectError::NotMapped { pid, va })?.pte;
            if pte.present {
                let at = va as usize & (LINE_BYTES - 1);
                part.copy_from_slice(&self.memory.line(data_line(pte.frame, va))[at..at + len]);
            } else {
                part.fill(0);
            }
            done += len;
        }
        Ok(())
    }

    /// Writes a process's memory, whatever its permissions, any alignment, across pages.
    ///
    /// # Errors
    /// [`InspectError`]; what stands before the address in it was written.
    pub fn write_virtual(&mut self, pid: u16, va: u64, bytes: &[u8]) -> Result<(), InspectError> {
        let mut done = 0;
        while done < bytes.len() {
            let va = va + done as u64;
            let len = within_line(va, bytes.len() - done);
            let pte = self.entry(pid, va).ok_or(InspectError::NotMapped { pid, va })?.pte;
            if !pte.present {
                return Err(InspectError::NotPresent { pid, va });
            }
            let line = data_line(pte.frame, va);
            self.write_part(line, va as usize & (LINE_BYTES - 1), &bytes[done..done + len]);
            done += len;
        }
        Ok(())
    }

    /// Reads the DRAM from byte `address` on, poisoned or not. Beyond its end it begins again.
    pub fn read_physical(&self, address: u64, out: &mut [u8]) {
        let mut done = 0;
        while done < out.len() {
            let address = address + done as u64;
            let len = within_line(address, out.len() - done);
            let at = address as usize & (LINE_BYTES - 1);
            let line = self.memory.line(address >> LINE_SHIFT);
            out[done..done + len].copy_from_slice(&line[at..at + len]);
            done += len;
        }
    }

    /// Writes the DRAM from byte `address` on. Beyond its end it begins again.
    pub fn write_physical(&mut self, address: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let address = address + done as u64;
            let len = within_line(address, bytes.len() - done);
            let at = address as usize & (LINE_BYTES - 1);
            self.write_part(address >> LINE_SHIFT, at, &bytes[done..done + len]);
            done += len;
        }
    }

    fn write_part(&mut self, line: u64, at: usize, bytes: &[u8]) {
        let mut data = [0; LINE_BYTES];
        data[at..at + bytes.len()].copy_from_slice(bytes);
        let mask = u64::MAX >> (LINE_BYTES - bytes.len()) << at;
        self.memory.write(line, &data, mask);
    }

    /// Makes the DRAM report a physical line as uncorrectable until all 64 bytes are written.
    pub fn poison(&mut self, line: u64) {
        self.memory.poison(line);
    }

    /// Whether a physical line is poisoned.
    pub fn is_poisoned(&self, line: u64) -> bool {
        self.memory.is_poisoned(line)
    }

    /// Makes `frame` the next one of its size that is granted or popped, so that a checker can
    /// follow hardware in which first writes overtook each other.
    ///
    /// # Errors
    /// [`FrameNotPending`] if it was not pushed, or is granted already.
    pub fn prefer_frame(&mut self, frame: u32, size: PageSize) -> Result<(), FrameNotPending> {
        if self.frames.prefer(frame, size, &mut self.memory) {
            Ok(())
        } else {
            Err(FrameNotPending { frame })
        }
    }
}
