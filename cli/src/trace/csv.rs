//! `op,addr,size`, one access a line. The op is R, W, M or I (or `load`, `store`, ... spelled out),
//! the address decimal or, with `0x`, hexadecimal. Lines that begin with `#` are remarks, and the
//! first line may name the columns.

use super::{number, size, Access, Kind, LineError};

/// Whether a line is a remark.
pub(super) fn is_remark(line: &[u8]) -> bool {
    line.starts_with(b"#")
}

/// Whether a line names the columns.
pub(super) fn is_header(line: &[u8]) -> bool {
    line.split(|&b| b == b',').next().is_some_and(|op| op.trim_ascii().eq_ignore_ascii_case(b"op"))
}

/// The access in a line.
pub(super) fn parse(line: &[u8]) -> Result<Access, LineError> {
    let mut columns = columns(line);
    let (Some(op), Some(address), Some(bytes), None) =
        (columns.next(), columns.next(), columns.next(), columns.next())
    else {
        return Err(LineError::Csv);
    };
    access(op, address, bytes)?.ok_or(LineError::Csv)
}

/// The access in a line of `op,addr`; a size may follow, otherwise it is one byte.
pub(super) fn parse_without_size(line: &[u8]) -> Result<Access, LineError> {
    let mut columns = columns(line);
    let (Some(op), Some(address), bytes, None) =
        (columns.next(), columns.next(), columns.next(), columns.next())
    else {
        return Err(LineError::OpAddress);
    };
    access(op, address, bytes.unwrap_or(b"1"))?.ok_or(LineError::OpAddress)
}

fn columns(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&b| b == b',').map(<[u8]>::trim_ascii)
}

/// `None` for an unknown op.
fn access(op: &[u8], address: &[u8], bytes: &[u8]) -> Result<Option<Access>, LineError> {
    let kind = match op.to_ascii_lowercase().as_slice() {
        b"r" | b"l" | b"read" | b"load" => Kind::Load,
        b"w" | b"s" | b"write" | b"store" => Kind::Store,
        b"m" | b"modify" => Kind::Modify,
        b"i" | b"fetch" => Kind::Fetch,
        _ => return Ok(None),
    };
    let address = match address {
        [b'0', b'x' | b'X', digits @ ..] => number(digits, 16),
        digits => number(digits, 10),
    };
    Access::checked(kind, address.ok_or(LineError::Address)?, size(bytes)?).map(Some)
}
