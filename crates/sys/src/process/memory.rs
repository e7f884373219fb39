//! How much memory a process has, and whether the system killed one for want of it.

use crate::memory::page_size;
use std::path::{Path, PathBuf};

/// The memory that a process has for itself, in bytes: what ending it would give back. None when there is no such process, or it is
/// another user's. The kernel walks over all its pages for it.
///
/// ```
/// use raddle_sys::process;
/// assert!(process::private_bytes(process::id()).is_some_and(|bytes| bytes > 0));
/// ```
#[must_use]
pub fn private_bytes(pid: u32) -> Option<u64> {
    private_in(&std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?)
}

/// The sum of the fields `Private_…` of a `smaps_rollup` file, which are in KiB.
fn private_in(rollup: &str) -> Option<u64> {
    let fields = rollup.lines().filter(|line| line.starts_with("Private_"));
    let sizes = fields.map(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    let kibibytes: Option<Vec<u64>> = sizes.collect();
    kibibytes.filter(|sizes| !sizes.is_empty()).map(|sizes| sizes.iter().sum::<u64>() << 10)
}

/// The memory that a process has in use, shared with others or not, in bytes. None when there is no such process. Cheap.
///
/// ```
/// use raddle_sys::process;
/// assert!(process::resident_bytes(process::id()).is_some_and(|bytes| bytes > 0));
/// ```
#[must_use]
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(page_size()).expect("a page is smaller than 2^64 bytes"))
}

/// How many processes the system has killed so far, for want of memory, in this process's control group and those below it. None
/// where nobody counts them, as in a group without the memory controller.
///
/// Who compares two counts learns whether a death in between may have been one of these.
#[must_use]
pub fn oom_kills() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    counters(&groups, &mounts).iter().find_map(|file| kills_in(&std::fs::read_to_string(file).ok()?))
}

/// The files that may hold the count, given `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn counters(groups: &str, mounts: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for group in groups.lines() {
        // Hierarchy, controllers, path. The unified hierarchy, version 2, names no controllers.
        let mut fields = group.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let (kind, file) = match controllers {
            "" => ("cgroup2", "memory.events"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                ("cgroup", "memory.oom_control")
            }
            _ => continue,
        };
        let places = mounts.lines().filter_map(|mount| place(mount, kind, path));
        files.extend(places.map(|folder| folder.join(file)));
    }
    files
}

/// Where the group `path` stands, when this line of `mountinfo` shows its hierarchy.
fn place(mount: &str, kind: &str, path: &str) -> Option<PathBuf> {
    let (before, after) = mount.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, point) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let (found, options) = (after.next()?, after.nth(1)?);
    if found != kind || (kind == "cgroup" && !options.split(',').any(|option| option == "memory")) {
        return None;
    }
    // A container may see its own group mounted as the root of all.
    let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    Some(Path::new(point).join(below))
}

/// The field `oom_kill` of `memory.events` or `memory.oom_control`.
fn kills_in(counters: &str) -> Option<u64> {
    counters.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Access, Memory};
    use crate::process::id;

    #[test]
    fn private_memory_is_summed() {
        let rollup = "0-f ---p 0 0:0 0 [rollup]\nRss: 90 kB\nPrivate_Clean: 3 kB\nPrivate_Dirty: 4 kB\nShared_Dirty: 8 kB\n";
        assert_eq!(private_in(rollup), Some(7 << 10));
        assert_eq!(private_in("Rss: 90 kB\n"), None);
    }

    #[test]
    fn what_is_touched_counts() {
        const TOUCHED: usize = 64 << 20;
        let mapping =
            Memory::new("test", TOUCHED).and_then(|memory| memory.map(Access::Private)).expect("mapped");
        let before =
            (private_bytes(id()).expect("we are there"), resident_bytes(id()).expect("we are there"));
        // SAFETY: all of the mapping, which is writable and which nobody else uses.
        unsafe { mapping.as_ptr().write_bytes(1, TOUCHED) };
        let after = (private_bytes(id()).expect("we are there"), resident_bytes(id()).expect("we are there"));
        // Other tests run, and give memory back, meanwhile.
        let most = u64::try_from(TOUCHED / 2).expect("it fits");
        assert!(after.0 >= before.0 + most && after.1 >= before.1 + most, "{before:?} {after:?}");
    }

    #[test]
    fn nobody_has_no_memory() {
        assert_eq!(private_bytes(u32::MAX), None);
        assert_eq!(resident_bytes(u32::MAX), None);
    }

    #[test]
    fn the_counter_is_found_in_both_versions() {
        let unified = "25 1 0:22 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let found = |groups, mounts| -> Vec<String> {
            counters(groups, mounts).iter().map(|file| file.display().to_string()).collect()
        };
        assert_eq!(found("0::/a/b\n", unified), ["/sys/fs/cgroup/a/b/memory.events"]);
        let old = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                   36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        assert_eq!(
            found("4:cpu:/x\n3:hugetlb,memory:/a:b\n", old),
            ["/sys/fs/cgroup/memory/a:b/memory.oom_control"]
        );
        let container = "35 31 0:32 /docker/1 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(
            found("3:memory:/docker/1/in\n", container),
            ["/sys/fs/cgroup/memory/in/memory.oom_control"]
        );
        assert_eq!(found("nonsense\n", "nonsense\n"), [""; 0]);
    }

    #[test]
    fn the_count_is_read() {
        assert_eq!(kills_in("low 0\noom 9\noom_kill 3\noom_group_kill 1\n"), Some(3));
        assert_eq!(kills_in("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"), Some(5));
        assert_eq!(kills_in("oom_kill_disable 0\n"), None);
        assert!(oom_kills() <= oom_kills());
    }
}
