//! Programs on this machine that the library can be loaded into, and the library.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::RunError;

/// Name of the library.
const LIBRARY: &str = "libsplitmem_preload.so";

/// Mode bits of a program that runs as somebody else.
const SET_ID: u32 = 0o6000;
/// ELF: a program header of this type names the dynamic linker.
const PT_INTERP: u32 = 3;

/// Finds a program as a shell does, and checks that a library can be loaded into it.
///
/// # Errors
/// [`RunError`].
pub fn find(name: &OsStr) -> Result<PathBuf, RunError> {
    let missing = || RunError::NoProgram(name.to_string_lossy().into_owned());
    let path = if Path::new(name).components().count() > 1 {
        PathBuf::from(name)
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|folder| folder.join(name));
        found.into_iter().find(|file| is_executable(file)).ok_or_else(missing)?
    };
    if !is_executable(&path) {
        return Err(missing());
    }
    if fs::metadata(&path).is_ok_and(|metadata| metadata.mode() & SET_ID != 0) {
        return Err(RunError::Privileged(path));
    }
    let mut head = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(4096).read_to_end(&mut head));
    if read.is_ok() && is_static(&head) {
        return Err(RunError::Static(path));
    }
    Ok(path)
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o111 != 0)
}

/// Whether these first bytes are those of an ELF program without a dynamic linker.
fn is_static(head: &[u8]) -> bool {
    let word = |at: usize, bytes: usize| {
        let field = head.get(at..at + bytes)?;
        Some(field.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte)))
    };
    let headers = || Some((word(32, 8)? as usize, word(54, 2)? as usize, word(56, 2)? as usize));
    match headers() {
        Some((start, size, count)) if head.starts_with(b"\x7fELF\x02") => {
            !(0..count).any(|i| word(start + i * size, 4) == Some(u64::from(PT_INTERP)))
        }
        _ => false,
    }
}

/// Finds the library: where the variable says, beside this program, or where Cargo builds it.
///
/// # Errors
/// [`RunError::NoLibrary`].
pub fn library() -> Result<PathBuf, RunError> {
    let mut places = Vec::new();
    if let Some(file) = std::env::var_os("SPLITMEM_PRELOAD") {
        places.push(PathBuf::from(file));
    } else if let Ok(own) = std::env::current_exe() {
        let folder = own.parent().unwrap_or(Path::new(".")).to_owned();
        // Cargo keeps the newest one in `deps`.
        let near = ["deps", "", "../lib/splitmem", ".."];
        places.extend(near.map(|place| folder.join(place).join(LIBRARY)));
    }
    match places.iter().find(|place| place.is_file()) {
        Some(place) => Ok(place.canonicalize().unwrap_or_else(|_| place.clone())),
        None => {
            let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
            Err(RunError::NoLibrary(places.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let shell = find(OsStr::new("sh")).unwrap();
        assert!(shell.is_absolute() && find(shell.as_os_str()).is_ok());
        for name in ["no-such-program-here", "/etc/passwd", "/nowhere/at/all"] {
            assert!(matches!(find(OsStr::new(name)), Err(RunError::NoProgram(_))), "{name}");
        }
    }

    #[test]
    fn a_program_without_a_dynamic_linker_is_told_from_one_with() {
        let mut head = vec![0; 200];
        head[..5].copy_from_slice(b"\x7fELF\x02");
        (head[32], head[54], head[56]) = (64, 56, 2);
        assert!(is_static(&head));
        head[64 + 56] = PT_INTERP as u8;
        assert!(!is_static(&head));
        assert!(!is_static(b"#!/bin/sh\n"));
        assert!(!is_static(b"\x7fELF\x02"));
    }
}
