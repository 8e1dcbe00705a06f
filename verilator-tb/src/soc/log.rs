//! The firmware's log: a ring in the core's memory (SEGGER's RTT, as `defmt-rtt` makes it), and its
//! decoding, which needs the ELF file that the firmware was.

use super::debugger::{DebugError, Debugger, Scan};
use super::SoftCore;
use defmt_decoder::{DecodeError, Locations, Table};
use std::convert::Infallible;

/// What the ring begins with.
const ID: &[u8; 10] = b"SEGGER RTT";
/// Word offsets of the first upward channel's fields, from the control block's begin on.
const BUFFER: usize = 7;
const SIZE: usize = 8;
const WRITE: usize = 9;
const READ: usize = 10;
/// Words of the control block up to there.
const BLOCK: usize = 12;

/// The memory of a core, as somebody outside reaches it.
pub trait TargetMemory {
    /// What may fail.
    type Error;

    /// Reads words from an address on.
    ///
    /// # Errors
    /// The access's.
    fn read(&mut self, address: u32, words: &mut [u32]) -> Result<(), Self::Error>;

    /// Writes a word.
    ///
    /// # Errors
    /// The access's.
    fn write(&mut self, address: u32, word: u32) -> Result<(), Self::Error>;
}

impl TargetMemory for SoftCore {
    type Error = Infallible;

    fn read(&mut self, address: u32, words: &mut [u32]) -> Result<(), Infallible> {
        for (i, word) in (0..).zip(words) {
            *word = self.read_word(address + 4 * i);
        }
        Ok(())
    }

    fn write(&mut self, address: u32, word: u32) -> Result<(), Infallible> {
        self.write_word(address, word);
        Ok(())
    }
}

impl<S: Scan> TargetMemory for Debugger<S> {
    type Error = DebugError<S::Error>;

    fn read(&mut self, address: u32, words: &mut [u32]) -> Result<(), Self::Error> {
        self.read_words(address, words)
    }

    fn write(&mut self, address: u32, word: u32) -> Result<(), Self::Error> {
        self.write_words(address, &[word])
    }
}

/// The ring's first channel.
#[derive(Clone, Copy, Debug)]
pub struct RttChannel {
    control: u32,
}

impl RttChannel {
    /// With its control block at an address: the symbol `_SEGGER_RTT`.
    pub fn new(control: u32) -> Self {
        Self { control }
    }

    /// Takes what is in the ring. Nothing while the firmware has not made it yet.
    ///
    /// # Errors
    /// The memory's.
    pub fn take<T: TargetMemory>(&self, memory: &mut T) -> Result<Vec<u8>, T::Error> {
        let mut block = [0; BLOCK];
        memory.read(self.control, &mut block)?;
        let id: Vec<u8> = block[..3].iter().flat_map(|word| word.to_le_bytes()).collect();
        let (buffer, size) = (block[BUFFER], block[SIZE]);
        let (write, read) = (block[WRITE], block[READ]);
        let sound = write < size && read < size && size <= 1 << 16 && buffer % 4 == 0;
        if !id.starts_with(ID) || !sound || write == read {
            return Ok(Vec::new());
        }
        let mut ring = vec![0; size.div_ceil(4) as usize];
        memory.read(buffer, &mut ring)?;
        let ring: Vec<u8> = ring.iter().flat_map(|word| word.to_le_bytes()).collect();
        let (write_at, read_at) = (write as usize, read as usize);
        let bytes = if read_at < write_at {
            ring[read_at..write_at].to_vec()
        } else {
            [&ring[read_at..size as usize], &ring[..write_at]].concat()
        };
        memory.write(self.control + 4 * READ as u32, write)?;
        Ok(bytes)
    }
}

/// Why a log cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The ELF file has no log strings, or ones of another version.
    #[error("this firmware's logs cannot be decoded: {0}")]
    Table(String),
}

/// Decodes a firmware's log.
pub struct Log {
    table: Table,
    locations: Locations,
    /// Bytes of a frame that is not whole yet.
    rest: Vec<u8>,
}

impl Log {
    /// For the firmware in an ELF file.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn new(elf: &[u8]) -> Result<Self, LogError> {
        let table = Table::parse(elf)
            .map_err(|error| LogError::Table(error.to_string()))?
            .ok_or_else(|| LogError::Table("it has no defmt section".to_owned()))?;
        let locations =
            table.get_locations(elf).map_err(|error| LogError::Table(error.to_string()))?;
        Ok(Self { table, locations, rest: Vec::new() })
    }

    /// The lines that are whole with these bytes: time in the core's clocks, level, text, place.
    pub fn lines(&mut self, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        // Frames end with a zero byte.
        let Some(last) = self.rest.iter().rposition(|&byte| byte == 0) else { return Vec::new() };
        let frames: Vec<u8> = self.rest.drain(..=last).collect();
        let mut decoder = self.table.new_stream_decoder();
        decoder.received(&frames);
        let mut lines = Vec::new();
        loop {
            match decoder.decode() {
                Ok(frame) => {
                    let time = frame.display_timestamp().map_or(String::new(), |t| t.to_string());
                    let level = frame.level().map_or("", |level| level.as_str()).to_uppercase();
                    let place = self.locations.get(&frame.index()).map_or(String::new(), |at| {
                        format!("  ({}:{})", at.file.display(), at.line)
                    });
                    let text = frame.display_message();
                    lines.push(format!("{time:>12} {level:<5} {text}{place}"));
                }
                Err(DecodeError::UnexpectedEof) => return lines,
                Err(DecodeError::Malformed) => lines.push("(a frame was lost)".to_owned()),
            }
        }
    }
}
