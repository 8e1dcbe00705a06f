//! [`Tree`]: the files that Linux shows, real ones or recorded ones.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Action, CxlError};

/// Files with short contents, in folders. Paths are absolute, as the kernel's documents give them.
pub trait Tree {
    /// A file's contents.
    ///
    /// # Errors
    /// The errno.
    fn load(&self, path: &Path) -> io::Result<String>;

    /// Writes a file, in one piece.
    ///
    /// # Errors
    /// The errno.
    fn store(&mut self, path: &Path, value: &str) -> io::Result<()>;

    /// Names in a folder, sorted.
    ///
    /// # Errors
    /// The errno.
    fn names(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Reads an attribute without the newline at its end.
    ///
    /// # Errors
    /// [`CxlError::Refused`].
    fn read(&self, path: &Path) -> Result<String, CxlError> {
        let text = self.load(path).map_err(|e| CxlError::refused(Action::Read, path, e))?;
        Ok(text.trim_end().to_owned())
    }

    /// Writes an attribute.
    ///
    /// # Errors
    /// [`CxlError::Refused`].
    fn write(&mut self, path: &Path, value: &str) -> Result<(), CxlError> {
        let action = || Action::Write(value.to_owned());
        self.store(path, value).map_err(|e| CxlError::refused(action(), path, e))
    }

    /// Lists a folder.
    ///
    /// # Errors
    /// [`CxlError::Refused`].
    fn list(&self, path: &Path) -> Result<Vec<String>, CxlError> {
        self.names(path).map_err(|e| CxlError::refused(Action::List, path, e))
    }

    /// Reads an attribute that not every kernel or device has.
    ///
    /// # Errors
    /// [`CxlError::Refused`] for any other reason than that it is not there.
    fn read_if_there(&self, path: &Path) -> Result<Option<String>, CxlError> {
        match self.load(path) {
            Ok(text) => Ok(Some(text.trim_end().to_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(CxlError::refused(Action::Read, path, e)),
        }
    }

    /// Reads a number, decimal or 0x and hexadecimal.
    ///
    /// # Errors
    /// [`CxlError`].
    fn number(&self, path: &Path) -> Result<u64, CxlError> {
        let value = self.read(path)?;
        parse(&value).ok_or_else(|| CxlError::Malformed {
            path: path.to_owned(),
            value,
            expected: "a number",
        })
    }
}

/// A number as sysfs prints it.
pub(crate) fn parse(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The machine's own files.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Tree for System {
    fn load(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }

    fn store(&mut self, path: &Path, value: &str) -> io::Result<()> {
        use std::io::Write as _;
        // Not `fs::write`: sysfs files are there, and must not be made.
        fs::OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
    }

    fn names(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}

/// A recorded tree: lines `PATH=CONTENTS`; lines that begin with # are remarks. Writes change it.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    files: BTreeMap<PathBuf, String>,
}

impl Recorded {
    /// From its text.
    pub fn new(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let files = lines.filter_map(|line| line.split_once('='));
        Self { files: files.map(|(path, value)| (path.into(), value.to_owned())).collect() }
    }

    /// Changes or makes a file.
    pub fn set(&mut self, path: impl Into<PathBuf>, value: &str) {
        self.files.insert(path.into(), value.to_owned());
    }

    /// Removes a file, or a folder with all in it.
    pub fn remove(&mut self, path: impl AsRef<Path>) {
        self.files.retain(|file, _| !file.starts_with(path.as_ref()));
    }

    /// A file's contents.
    pub fn get(&self, path: impl AsRef<Path>) -> Option<&str> {
        self.files.get(path.as_ref()).map(String::as_str)
    }
}

impl Tree for Recorded {
    fn load(&self, path: &Path) -> io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
    }

    fn store(&mut self, path: &Path, value: &str) -> io::Result<()> {
        match self.files.get_mut(path) {
            Some(file) => {
                value.clone_into(file);
                Ok(())
            }
            None => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        }
    }

    fn names(&self, path: &Path) -> io::Result<Vec<String>> {
        let below = self.files.keys().filter_map(|file| file.strip_prefix(path).ok());
        let mut names: Vec<String> = below
            .filter_map(|rest| rest.components().next())
            .map(|name| name.as_os_str().to_string_lossy().into_owned())
            .collect();
        names.dedup();
        if names.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        Ok(names)
    }
}
