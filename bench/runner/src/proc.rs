//! Reads what the kernel says of processes: their CPU time and their memory.

use std::fs;
use std::io;

/// Ticks of a second in /proc: `USER_HZ`, which is 100 on every architecture that Linux runs on
/// here.
const TICKS: f64 = 100.0;

/// What is read of one process's `stat`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stat {
    /// The process group.
    pub(crate) group: u32,
    /// Microseconds that all of its threads have spent, ended ones among them.
    pub(crate) cpu_us: f64,
}

/// Reads the text of `/proc/PID/stat`. The name in it may hold spaces and brackets.
pub(crate) fn parse_stat(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(Stat {
        group: fields.get(2)?.parse().ok()?,
        cpu_us: (ticks(11)? + ticks(12)?) / TICKS * 1e6,
    })
}

/// Reads the resident bytes out of the text of `/proc/PID/status`.
pub(crate) fn parse_resident(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Microseconds that all processes of a group have spent.
///
/// # Errors
///
/// Where /proc cannot be read.
pub(crate) fn group_cpu_us(group: u32) -> io::Result<f64> {
    let mut cpu_us = 0.0;
    for entry in fs::read_dir("/proc")? {
        // A process may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(entry?.path().join("stat")) else { continue };
        if let Some(stat) = parse_stat(&text).filter(|stat| stat.group == group) {
            cpu_us += stat.cpu_us;
        }
    }
    Ok(cpu_us)
}

/// The resident bytes of all processes of a group; what several share is counted for each.
///
/// # Errors
///
/// Where /proc cannot be read.
pub(crate) fn group_resident(group: u32) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir("/proc")? {
        let folder = entry?.path();
        let Ok(text) = fs::read_to_string(folder.join("stat")) else { continue };
        if parse_stat(&text).is_some_and(|stat| stat.group == group) {
            let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
            bytes += parse_resident(&status).unwrap_or_default();
        }
    }
    Ok(bytes)
}

/// The resident bytes of one process.
///
/// # Errors
///
/// Where it is gone.
pub(crate) fn resident(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_resident(&text).ok_or_else(|| io::Error::other("the kernel tells no resident bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_read_whatever_the_name() {
        let text = "42 (a) (b c) S 1 77 77 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 99 1 1";
        assert_eq!(parse_stat(text), Some(Stat { group: 77, cpu_us: 2_000_000.0 }));
        assert_eq!(parse_stat("42 (short) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn resident_bytes_are_read() {
        assert_eq!(parse_resident("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
        assert_eq!(parse_resident("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_is_found() {
        assert!(resident(std::process::id()).unwrap() > 0);
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let group = parse_stat(&stat).unwrap().group;
        assert!(group_cpu_us(group).is_ok());
    }
}
