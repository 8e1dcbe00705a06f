//! Frames out of a stream of bytes, some of which may be damaged, lost, or nobody's.

use splitmem_abi::serial::{self, Kind, CRC_BYTES, HEADER_BYTES, SYNC};
use std::collections::VecDeque;

/// The stream.
#[derive(Default)]
pub struct Frames {
    bytes: VecDeque<u8>,
    stray: u64,
}

impl Frames {
    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Bytes that were in no good frame.
    pub fn stray(&self) -> u64 {
        self.stray
    }

    /// The next good answer: kind, the rest of its header, payload. A frame that is not good costs one
    /// byte: the next one may begin within it.
    pub fn next(&mut self) -> Option<(Kind, [u8; 3], Vec<u8>)> {
        loop {
            let sync = self.bytes.iter().position(|byte| *byte == SYNC);
            let skip = sync.unwrap_or(self.bytes.len());
            self.stray += skip as u64;
            self.bytes.drain(..skip);
            let code = *self.bytes.get(1)?;
            let kind = Kind::ANSWERS.into_iter().find(|kind| *kind as u8 == code);
            if let Some(kind) = kind {
                if self.bytes.len() < kind.frame() {
                    return None;
                }
                let frame: Vec<u8> = self.bytes.iter().take(kind.frame()).copied().collect();
                let end = frame.len() - CRC_BYTES;
                if serial::crc(&frame[1..end]).to_le_bytes() == frame[end..] {
                    self.bytes.drain(..frame.len());
                    let header = [frame[2], frame[3], frame[4]];
                    return Some((kind, header, frame[1 + HEADER_BYTES..end].to_vec()));
                }
            }
            self.bytes.pop_front();
            self.stray += 1;
        }
    }
}
