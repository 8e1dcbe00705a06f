//! [`RunSettings`]: what `splitmem run` tells the library in the program, in one environment variable.

use std::path::{Path, PathBuf};

use super::engine::Limit;
use crate::config::Prefetch;

/// The environment variable.
pub const VARIABLE: &str = "SPLITMEM_RUN";

/// Name of the profile's file in the run's folder.
pub const PROFILE: &str = "profile.toml";

/// Name of the socket in the run's folder through which the component is reached.
pub const SOCKET: &str = "component";

/// The settings of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSettings {
    /// Local frames of each process.
    pub limit: Limit,
    /// Prefetch.
    pub prefetch: Prefetch,
    /// Bytes that the component has for each process.
    pub memory: u64,
    /// Mappings of fewer bytes stay local, and so does the heap if this is more than a page.
    pub smallest: usize,
    /// Whether the component has the timing of a profile, which is in the folder ([`PROFILE`]).
    pub profile: bool,
    /// Whether the component is in another process, at the socket in the folder ([`SOCKET`]).
    pub served: bool,
    /// Where what the component does not have is saved if it is lost (see
    /// [`spill_to`](super::process::spill_to)).
    pub spill: Option<PathBuf>,
    /// Where the processes leave their counters.
    pub folder: Option<PathBuf>,
}

/// Settings that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings in {VARIABLE} cannot be read: {0}")]
pub struct SettingsError(String);

impl RunSettings {
    /// As text, with the folder last, because it may hold anything.
    pub fn format(&self) -> String {
        let limit = match self.limit {
            Limit::Frames(frames) => format!("frames={frames}"),
            Limit::Share(share) => format!("share={share}"),
        };
        let folder =
            self.folder.as_ref().map_or(String::new(), |f| format!(" folder={}", f.display()));
        let Self { prefetch, memory, smallest, profile, served, .. } = self;
        let spill = self.spill.as_ref().map_or(String::new(), |f| format!(" spill={}", escaped(f)));
        format!(
            "{limit} prefetch={prefetch} memory={memory} smallest={smallest} profile={profile} \
             served={served}{spill}{folder}"
        )
    }

    /// From text.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let (words, folder) = match text.split_once(" folder=") {
            Some((words, folder)) => (words, Some(PathBuf::from(folder))),
            None => (text, None),
        };
        let wrong = || SettingsError(text.to_owned());
        let value = |name: &str| {
            words.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        fn number<T: std::str::FromStr>(text: Option<&str>) -> Option<T> {
            text?.parse().ok()
        }
        let limit = match (number(value("frames")), number(value("share"))) {
            (Some(frames), None) => Limit::Frames(frames),
            (None, Some(share)) => Limit::Share(share),
            _ => return Err(wrong()),
        };
        Ok(Self {
            limit,
            prefetch: number(value("prefetch")).ok_or_else(wrong)?,
            memory: number(value("memory")).ok_or_else(wrong)?,
            smallest: number(value("smallest")).ok_or_else(wrong)?,
            profile: number(value("profile")).ok_or_else(wrong)?,
            served: number(value("served")).ok_or_else(wrong)?,
            spill: value("spill")
                .map(|text| PathBuf::from(text.replace("%20", " ").replace("%25", "%"))),
            folder,
        })
    }
}

/// A path as one word.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace('%', "%25").replace(' ', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_environment() {
        for limit in [Limit::Frames(77), Limit::Share(0.25)] {
            for folder in [None, Some(PathBuf::from("/tmp/a b = c"))] {
                let settings = RunSettings {
                    limit,
                    prefetch: Prefetch::Trend { pages: 31 },
                    memory: 1 << 33,
                    smallest: 4096,
                    profile: limit == Limit::Frames(77),
                    served: limit != Limit::Frames(77),
                    spill: folder.as_ref().map(|_| PathBuf::from("/var/tmp/a %20 b folder=%")),
                    folder,
                };
                assert_eq!(RunSettings::parse(&settings.format()), Ok(settings));
            }
        }
        assert!(RunSettings::parse(
            "frames=1 share=0.5 prefetch=none memory=1 smallest=1 profile=true served=false"
        )
        .is_err());
        assert!(RunSettings::parse("").is_err());
    }
}
