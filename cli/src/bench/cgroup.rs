//! [`Cgroup`]: a memory limit for a child process.
//!
//! A group of our own, in the unified hierarchy (cgroup v2) where it has the memory controller, else
//! in the memory hierarchy of version 1. It goes away when it is dropped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{is_root, read, write, Unavailable};

/// Memory for the process itself, its stacks and page tables, beside what it works on.
pub const SLACK: u64 = 16 << 20;

/// A group with a memory limit.
#[derive(Debug)]
pub struct Cgroup {
    folder: PathBuf,
    version: u32,
}

impl Cgroup {
    /// A group whose processes together may have this much memory, page cache included.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn new(limit: u64) -> Result<Self, Unavailable> {
        if !is_root() {
            return Err(Unavailable::NeedsRoot);
        }
        let mounts = read(Path::new("/proc/self/mounts"))?;
        let (root, version) = hierarchy(&mounts, |file| std::fs::read_to_string(file).ok())
            .ok_or(Unavailable::Kernel("memory controller of cgroups, version 1 or 2"))?;
        if version == 2 {
            write(&root.join("cgroup.subtree_control"), "+memory")?;
        }
        let folder = root.join(format!("splitmem-bench-{}", std::process::id()));
        std::fs::create_dir(&folder).map_err(Unavailable::io(&folder))?;
        let group = Self { folder, version };
        let file = if version == 2 { "memory.max" } else { "memory.limit_in_bytes" };
        write(&group.folder.join(file), &limit.to_string())?;
        Ok(group)
    }

    /// The hierarchy's version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// A command that runs `program` in the group: a shell enters it and becomes the program.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        let enter = "echo $$ > \"$0\" && exec \"$@\"";
        command.args(["-c", enter]).arg(self.folder.join("cgroup.procs")).arg(program);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The last process may still be on its way out.
        for _ in 0..100 {
            match std::fs::remove_dir(&self.folder) {
                Ok(()) => return,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        eprintln!("splitmem: WARNING: cannot remove {}", self.folder.display());
    }
}

/// The root of the hierarchy that has the memory controller, and its version.
fn hierarchy(mounts: &str, read: impl Fn(&Path) -> Option<String>) -> Option<(PathBuf, u32)> {
    let mounted = |wanted: &dyn Fn(&str, &str) -> bool| {
        mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, folder, kind, options, ..] = fields[..] else { return None };
            wanted(kind, options).then(|| PathBuf::from(folder))
        })
    };
    let unified = mounted(&|kind, _| kind == "cgroup2").filter(|root| {
        let controllers = read(&root.join("cgroup.controllers")).unwrap_or_default();
        controllers.split_whitespace().any(|name| name == "memory")
    });
    let first = |kind: &str, options: &str| {
        kind == "cgroup" && options.split(',').any(|option| option == "memory")
    };
    unified.map(|root| (root, 2)).or_else(|| mounted(&first).map(|root| (root, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFIED: &str = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
    const HYBRID: &str = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                          cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                          cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n\
                          cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";

    #[test]
    fn the_hierarchy_with_the_memory_controller_is_found() {
        let all = |_: &Path| Some("cpuset cpu io memory pids\n".to_owned());
        let none = |_: &Path| Some("\n".to_owned());
        assert_eq!(hierarchy(UNIFIED, all), Some(("/sys/fs/cgroup".into(), 2)));
        assert_eq!(hierarchy(UNIFIED, none), None);
        assert_eq!(hierarchy(HYBRID, none), Some(("/sys/fs/cgroup/memory".into(), 1)));
        assert_eq!(hierarchy(HYBRID, all), Some(("/sys/fs/cgroup/unified".into(), 2)));
        assert_eq!(hierarchy("", all), None);
    }
}
