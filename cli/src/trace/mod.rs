//! Memory traces, read as a stream: whatever their length, they take one line of memory.
//!
//! | module | what it reads |
//! | --- | --- |
//! | [`lackey`] | the text of `valgrind --tool=lackey --trace-mem=yes` |
//! | [`csv`] | `op,addr,size` |
//! | [`replay`] | nothing: it makes the accesses again |
//! | [`source`] | files and the standard input, compressed with gzip or not |

pub mod csv;
pub mod lackey;
pub mod replay;
pub mod source;

use std::io::{BufRead, Read as _};
use std::path::PathBuf;

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Instruction fetch.
    Fetch,
    /// Load.
    Load,
    /// Store.
    Store,
    /// Load and store of the same bytes.
    Modify,
}

/// One access of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// What it does.
    pub kind: Kind,
    /// Address of its first byte.
    pub address: u64,
    /// Bytes, 1 to [`SIZE_MAX`].
    pub size: u32,
}

/// Largest access that a trace may hold, in bytes.
pub const SIZE_MAX: u32 = 1 << 20;
/// Longest line that a trace may hold, in bytes. A longer one is no text of ours: a binary file
/// without a line end must not fill the memory.
const LINE_MAX: u64 = 1024;

impl Access {
    /// Checks size and end of the access.
    fn checked(kind: Kind, address: u64, size: u32) -> Result<Self, LineError> {
        if size == 0 || size > SIZE_MAX {
            return Err(LineError::Size);
        }
        if address.checked_add(u64::from(size)).is_none() {
            return Err(LineError::End);
        }
        Ok(Self { kind, address, size })
    }
}

/// The two texts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// ` L 1ffefff9a0,8`, addresses in hexadecimal without 0x.
    Lackey,
    /// `R,0x1ffefff9a0,8`, addresses decimal or hexadecimal with 0x.
    Csv,
    /// The same with or without a size: the DRAM model's traces name lines, not bytes.
    #[value(skip)]
    OpAddress,
}

/// What is wrong with a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LineError {
    /// Not ` L addr,size` and the like.
    #[error("expected ' L ADDR,SIZE', ' S', ' M' or 'I ', the address in hexadecimal")]
    Lackey,
    /// Not `op,addr,size`.
    #[error("expected OP,ADDR,SIZE, with OP one of R, W, M, I")]
    Csv,
    /// Not `op,addr`.
    #[error("expected OP,ADDR, with OP one of R, W and ADDR like 4096 or 0x1000")]
    OpAddress,
    /// A bad address.
    #[error("the address is no number of 64 bits")]
    Address,
    /// A bad size.
    #[error("the size must be 1 to {SIZE_MAX} bytes")]
    Size,
    /// Beyond the last address.
    #[error("the access reaches beyond the last 64-bit address")]
    End,
    /// No line end for a long while.
    #[error("longer than {LINE_MAX} bytes: this is no memory trace")]
    TooLong,
}

/// Why a trace cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file, or the gzip stream in it.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file; `-` is the standard input.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A malformed line.
    #[error("{}:{line}: {error}, and not {text:?}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Line number, from 1.
        line: u64,
        /// What is wrong.
        error: LineError,
        /// The beginning of the line.
        text: String,
    },
    /// No access in the whole file.
    #[error("{} holds no memory access (make one with: valgrind --tool=lackey --trace-mem=yes \
             --log-file=TRACE PROGRAM)", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
}

/// Reads the accesses of a trace one after the other. After an error it ends.
pub struct TraceReader<R> {
    input: R,
    path: PathBuf,
    format: Option<Format>,
    buffer: Vec<u8>,
    line: u64,
    found: bool,
    ended: bool,
}

impl<R: BufRead> TraceReader<R> {
    /// Reads `input`, which messages call `path`. Without a format, the first access tells it.
    pub fn new(input: R, path: PathBuf, format: Option<Format>) -> Self {
        Self { input, path, format, buffer: Vec::new(), line: 0, found: false, ended: false }
    }

    /// The line that was read last, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    fn next_access(&mut self) -> Result<Option<Access>, TraceError> {
        loop {
            self.buffer.clear();
            let read = (&mut self.input)
                .take(LINE_MAX + 1)
                .read_until(b'\n', &mut self.buffer)
                .map_err(|source| TraceError::Read { path: self.path.clone(), source })?;
            if read == 0 {
                return if self.found {
                    Ok(None)
                } else {
                    Err(TraceError::Empty { path: self.path.clone() })
                };
            }
            self.line += 1;
            match self.parse() {
                Ok(None) => {}
                Ok(access) => {
                    self.found = true;
                    return Ok(access);
                }
                Err(error) => {
                    let start = &self.buffer[..self.buffer.len().min(60)];
                    return Err(TraceError::Line {
                        path: self.path.clone(),
                        line: self.line,
                        error,
                        text: String::from_utf8_lossy(start).trim_end().to_owned(),
                    });
                }
            }
        }
    }

    /// The access of the line in the buffer; `None` for one that holds none (a remark).
    fn parse(&mut self) -> Result<Option<Access>, LineError> {
        if self.buffer.len() as u64 > LINE_MAX {
            return Err(LineError::TooLong);
        }
        let line = self.buffer.trim_ascii_end();
        if lackey::is_remark(line) || csv::is_remark(line) {
            return Ok(None);
        }
        let format = *self.format.get_or_insert_with(|| {
            if line.iter().filter(|&&b| b == b',').count() == 2 {
                Format::Csv
            } else {
                Format::Lackey
            }
        });
        match format {
            Format::Lackey => lackey::parse(line).map(Some),
            // A CSV file may begin with the names of its columns.
            Format::Csv | Format::OpAddress if !self.found && csv::is_header(line) => Ok(None),
            Format::Csv => csv::parse(line).map(Some),
            Format::OpAddress => csv::parse_without_size(line).map(Some),
        }
    }
}

impl<R: BufRead> Iterator for TraceReader<R> {
    type Item = Result<Access, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_access().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// A number in the given radix, digits only (`from_str_radix` also takes a sign).
fn number(text: &[u8], radix: u32) -> Option<u64> {
    if !text.first().is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(text).ok()?, radix).ok()
}

/// A size in decimal.
fn size(text: &[u8]) -> Result<u32, LineError> {
    number(text, 10).and_then(|n| u32::try_from(n).ok()).ok_or(LineError::Size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8], format: Option<Format>) -> Result<Vec<Access>, TraceError> {
        TraceReader::new(text, "t".into(), format).collect()
    }

    const LACKEY: &str = "\
==4242== Lackey, an example Valgrind tool
==4242== Command: true

I  04001000,3
 L 1ffefff9a0,8
 S 04029e10,16
 M 0421c7cc,4
--4242-- a message of valgrind
 L fffffffffffffff0,8
";

    #[test]
    fn lackey_text_is_read() {
        let access = |kind, address, size| Access { kind, address, size };
        let expected = [
            access(Kind::Fetch, 0x0400_1000, 3),
            access(Kind::Load, 0x1f_feff_f9a0, 8),
            access(Kind::Store, 0x0402_9e10, 16),
            access(Kind::Modify, 0x0421_c7cc, 4),
            access(Kind::Load, 0xffff_ffff_ffff_fff0, 8),
        ];
        assert_eq!(read(LACKEY.as_bytes(), None).unwrap(), expected);
    }

    #[test]
    fn csv_text_is_read() {
        let text =
            "op,addr,size\n# a remark\nR,0x1000,8\nW, 4096 ,64\r\nm,0xff,1\nstore,7,2\nI,0,4";
        let kinds: Vec<_> =
            read(text.as_bytes(), None).unwrap().iter().map(|a| (a.kind, a.address)).collect();
        let expected = [
            (Kind::Load, 0x1000),
            (Kind::Store, 4096),
            (Kind::Modify, 255),
            (Kind::Store, 7),
            (Kind::Fetch, 0),
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn op_and_address_need_no_size() {
        let text = "op,addr\n# a remark\nR,0x1000\nW, 4096\nR,64,8\n";
        let access = |kind, address, size| Access { kind, address, size };
        let expected = [
            access(Kind::Load, 0x1000, 1),
            access(Kind::Store, 4096, 1),
            access(Kind::Load, 64, 8),
        ];
        assert_eq!(read(text.as_bytes(), Some(Format::OpAddress)).unwrap(), expected);
        for bad in ["R\n", "Q,64\n", "R,64,8,1\n", "R,1\nop,addr\n"] {
            assert!(
                matches!(
                    read(bad.as_bytes(), Some(Format::OpAddress)),
                    Err(TraceError::Line { error: LineError::OpAddress, .. })
                ),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_malformed_line_gives_its_number() {
        for (text, line, error) in [
            (" L 1000,8\n L 10x0,8\n", 2, LineError::Address),
            (" L 1000,8\n\n L 1000\n", 3, LineError::Lackey),
            (" X 1000,8\n", 1, LineError::Lackey),
            (" L 1000,0\n", 1, LineError::Size),
            (" L 1000,-8\n", 1, LineError::Size),
            (" L +1000,8\n", 1, LineError::Address),
            (" L ffffffffffffffff,8\n", 1, LineError::End),
            (" L 11112222333344445,8\n", 1, LineError::Address),
            ("R,1000,8\nR,1000\n", 2, LineError::Csv),
            ("R,1000,8\nop,addr,size\n", 2, LineError::Csv),
            ("R,1000,8\nX,1000,8\n", 2, LineError::Csv),
            ("R,ff,8\n", 1, LineError::Address),
            ("R,1000,2000000\n", 1, LineError::Size),
            ("\0\u{1}\u{2}\n", 1, LineError::Lackey),
        ] {
            match read(text.as_bytes(), None) {
                Err(TraceError::Line { line: l, error: e, .. }) => {
                    assert_eq!((l, e), (line, error), "{text:?}");
                }
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_file_without_line_ends_stops_early() {
        let binary = vec![b'x'; 10 << 20];
        let error = read(&binary, None).unwrap_err();
        assert!(matches!(error, TraceError::Line { line: 1, error: LineError::TooLong, .. }));
        assert!(error.to_string().len() < 300, "{error}");
    }

    #[test]
    fn a_trace_without_an_access_is_an_error() {
        for text in ["", "==1== Lackey\n", "op,addr,size\n"] {
            assert!(matches!(read(text.as_bytes(), None), Err(TraceError::Empty { .. })), "{text}");
        }
    }

    #[test]
    fn after_an_error_the_reader_ends() {
        let mut reader = TraceReader::new(&b" L 1,1\nbad\n L 2,2\n"[..], "t".into(), None);
        assert!(matches!(reader.next(), Some(Ok(_))));
        assert!(matches!(reader.next(), Some(Err(_))));
        assert!(reader.next().is_none());
    }

    proptest! {
        #[test]
        fn both_texts_carry_every_access(
            accesses in prop::collection::vec(
                (0usize..4, 0..u64::MAX - u64::from(SIZE_MAX), 1..=SIZE_MAX), 1..50
            )
        ) {
            const KINDS: [(Kind, &str, &str); 4] = [
                (Kind::Fetch, "I ", "I"),
                (Kind::Load, " L", "R"),
                (Kind::Store, " S", "W"),
                (Kind::Modify, " M", "M"),
            ];
            let expected: Vec<_> = accesses
                .iter()
                .map(|&(k, address, size)| Access { kind: KINDS[k].0, address, size })
                .collect();
            let lackey: String = accesses
                .iter()
                .map(|&(k, address, size)| format!("{} {address:08x},{size}\n", KINDS[k].1))
                .collect();
            let csv: String = accesses
                .iter()
                .map(|&(k, address, size)| format!("{},{address:#x},{size}\n", KINDS[k].2))
                .collect();
            prop_assert_eq!(&read(lackey.as_bytes(), None).unwrap(), &expected);
            prop_assert_eq!(&read(csv.as_bytes(), None).unwrap(), &expected);
        }

        #[test]
        fn any_bytes_give_accesses_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for format in [None, Some(Format::Csv), Some(Format::Lackey)] {
                for access in read(&bytes, format).unwrap_or_default() {
                    prop_assert!(access.address.checked_add(access.size.into()).is_some());
                }
            }
        }
    }
}
