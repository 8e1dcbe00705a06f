//! The text of valgrind's lackey (`--trace-mem=yes`): `I  ADDR,SIZE` for an instruction fetch,
//! ` L`, ` S` and ` M` for load, store and modify; addresses in hexadecimal without `0x`.

use super::{number, size, Access, Kind, LineError};

/// Whether a line is one of valgrind's own (`==PID==`, `--PID--`) or empty.
pub(super) fn is_remark(line: &[u8]) -> bool {
    line.is_empty() || line.starts_with(b"==") || line.starts_with(b"--")
}

/// The access in a line.
pub(super) fn parse(line: &[u8]) -> Result<Access, LineError> {
    let (kind, rest) = match line {
        [b'I', b' ', b' ', rest @ ..] => (Kind::Fetch, rest),
        [b' ', b'L', b' ', rest @ ..] => (Kind::Load, rest),
        [b' ', b'S', b' ', rest @ ..] => (Kind::Store, rest),
        [b' ', b'M', b' ', rest @ ..] => (Kind::Modify, rest),
        _ => return Err(LineError::Lackey),
    };
    let comma = rest.iter().position(|&b| b == b',').ok_or(LineError::Lackey)?;
    let address = number(&rest[..comma], 16).ok_or(LineError::Address)?;
    Access::checked(kind, address, size(&rest[comma + 1..])?)
}
