//! Built folders, kept by a hash of what went into them.

use std::error::Error;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Versions of one folder that are kept: a few, for whoever goes back and forth between them.
const KEEP: usize = 8;

/// Everything that decides what a build gives.
#[derive(Clone, Default)]
pub struct Key(DefaultHasher);

impl Key {
    /// Adds one ingredient.
    pub fn add(&mut self, ingredient: &str) -> &mut Self {
        self.0.write_usize(ingredient.len());
        self.0.write(ingredient.as_bytes());
        self
    }
}

/// A folder of built folders.
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// In `preferred`, or, where that cannot be written, in cargo's own `fallback`.
    pub fn new(preferred: &Path, fallback: &Path) -> Self {
        let root = if std::fs::create_dir_all(preferred).is_ok() && writable(preferred) {
            preferred.to_owned()
        } else {
            fallback.to_owned()
        };
        Self { root }
    }

    /// The folder that `make` fills for this key; made now if it is not there yet.
    pub fn get(
        &self,
        name: &str,
        key: &Key,
        make: impl FnOnce(&Path) -> Result<(), Box<dyn Error>>,
    ) -> Result<PathBuf, Box<dyn Error>> {
        let folder = self.root.join(format!("{name}-{:016x}", key.0.finish()));
        if !folder.is_dir() {
            // Made aside and renamed when whole: a build that was stopped, or one that runs at the
            // same time, never leaves a half-filled folder under the final name.
            let aside = self.root.join(format!("{name}.{}", std::process::id()));
            remove(&aside)?;
            std::fs::create_dir_all(&aside)?;
            let made = make(&aside);
            if let Err(error) = made {
                remove(&aside)?;
                return Err(error);
            }
            if let Err(error) = std::fs::rename(&aside, &folder) {
                remove(&aside)?;
                if !folder.is_dir() {
                    return Err(error.into());
                }
            }
            self.prune(name);
        }
        Ok(folder)
    }

    /// Deletes all but the newest versions of `name`. What cannot be deleted stays.
    fn prune(&self, name: &str) {
        let Ok(entries) = std::fs::read_dir(&self.root) else { return };
        let mut versions: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .filter(|entry| {
                let file = entry.file_name();
                let file = file.to_string_lossy();
                file.strip_prefix(name)
                    .and_then(|rest| rest.strip_prefix('-'))
                    .is_some_and(|hash| hash.len() == 16)
            })
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        versions.sort();
        for (_, folder) in versions.iter().rev().skip(KEEP) {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn writable(folder: &Path) -> bool {
    let probe = folder.join(format!(".probe.{}", std::process::id()));
    std::fs::write(&probe, []).is_ok() && std::fs::remove_file(&probe).is_ok()
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
