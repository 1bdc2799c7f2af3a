//! How much memory there is: that of the machine, or less where a control group says so.

use std::fs;
use std::path::{Path, PathBuf};

/// The most memory that this process can have, in bytes, where the system tells.
pub fn total_memory() -> Option<u64> {
    total_below(Path::new("/"))
}

/// The same below another root, for tests.
fn total_below(root: &Path) -> Option<u64> {
    let meminfo = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let of_groups = limits(root).into_iter().min().unwrap_or(u64::MAX);
    Some((kib << 10).min(of_groups))
}

/// What the control groups of this process allow, both versions. The groups above count as well, and a group may not
/// be visible from within a container, where its limits are those of the root.
fn limits(root: &Path) -> Vec<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            controllers if controllers.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mount = root.join(mount);
        let group: PathBuf = mount.join(group.trim_start_matches('/'));
        let groups = group.ancestors().take_while(|group| group.starts_with(&mount));
        // `max` is no number, and without a limit version 1 has one that no machine reaches.
        found.extend(groups.filter_map(|group| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The total of a system with these files and 8 GiB.
    fn total(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [("proc/meminfo", "MemFree: 1 kB\nMemTotal:  8388608 kB\n")].iter().chain(files) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        total_below(root.path())
    }

    #[test]
    fn a_container_has_less_than_its_machine() {
        assert_eq!(total(&[]), Some(8 << 30));
        let of_two = ("proc/self/cgroup", "0::/a/b\n");
        let above = [of_two, ("sys/fs/cgroup/a/memory.max", "1048576\n"), ("sys/fs/cgroup/a/b/memory.max", "max\n")];
        assert_eq!(total(&above), Some(1 << 20));
        let within = [("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "2097152\n")];
        assert_eq!(total(&within), Some(2 << 20));
        // Version 1 from within a container: the group has another name than the machine knows it by.
        let of_one = ("proc/self/cgroup", "5:cpu:/\n4:memory:/docker/x\n0::/\n");
        let limit = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "3145728\n");
        assert_eq!(total(&[of_one, limit]), Some(3 << 20));
        let endless = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(total(&[of_one, endless]), Some(8 << 30));
    }
}
