//! Where bytes come from: a file or the standard input (`-`), compressed with gzip or not. The
//! contents tell, not the name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

/// First bytes of a gzip stream (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 64 << 10;

/// An open source.
pub struct Source {
    /// What it holds, decompressed.
    pub reader: Box<dyn BufRead>,
    /// Its length on disk in bytes; zero if nobody knows (a pipe).
    pub length: u64,
    /// Bytes of it, on disk, that were read so far.
    pub position: Position,
}

/// Bytes that were read so far. Clones share the count.
#[derive(Clone, Default)]
pub struct Position(Arc<AtomicU64>);

impl Position {
    /// Bytes.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Counted<R> {
    inner: R,
    position: Position,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.position.0.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Whether `path` stands for the standard input.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens a file, or the standard input for `-`.
///
/// # Errors
/// What the system says; a folder is an error at once and not at the first read.
pub fn open(path: &Path) -> io::Result<Source> {
    if is_stdin(path) {
        return with_length(io::stdin().lock(), 0);
    }
    let file = File::open(path)?;
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    with_length(file, if about.is_file() { about.len() } else { 0 })
}

fn with_length(inner: impl Read + 'static, length: u64) -> io::Result<Source> {
    let position = Position::default();
    let mut raw = BufReader::with_capacity(BUFFER, Counted { inner, position: position.clone() });
    // One filled buffer holds both magic bytes of a file; a pipe that gives them one by one is
    // taken as text.
    let reader: Box<dyn BufRead> = if raw.fill_buf()?.starts_with(&GZIP_MAGIC) {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw)))
    } else {
        Box::new(raw)
    };
    Ok(Source { reader, length, position })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn contents(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), bytes)?;
        let mut source = open(file.path())?;
        let mut out = Vec::new();
        source.reader.read_to_end(&mut out)?;
        assert_eq!(source.length, bytes.len() as u64);
        assert_eq!(source.position.get(), bytes.len() as u64);
        Ok(out)
    }

    #[test]
    fn plain_and_compressed_files_read_alike() {
        let text = b" L 1000,8\n".repeat(20_000);
        assert_eq!(contents(&text).unwrap(), text);
        assert_eq!(contents(&gzip(&text)).unwrap(), text);
        // gzip files may be concatenated.
        let twice = [gzip(&text), gzip(&text)].concat();
        assert_eq!(contents(&twice).unwrap().len(), 2 * text.len());
        assert_eq!(contents(b"").unwrap(), b"");
    }

    #[test]
    fn a_cut_gzip_file_is_an_error() {
        let whole = gzip(&b" L 1000,8\n".repeat(1000));
        assert!(contents(&whole[..whole.len() - 9]).is_err());
    }

    #[test]
    fn folders_and_missing_files_are_errors() {
        assert!(open(Path::new("/")).is_err());
        assert!(open(Path::new("/no/such/file")).is_err());
    }
}
