//! What processes use, as Linux tells in `/proc` (proc(5)).

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::receiver::THREAD;
use crate::failure::Failure;

/// A process to be watched, by a name: `server=4711`.
#[derive(Debug, Clone)]
pub struct Watched {
    name: String,
    id: u32,
}

impl Watched {
    pub fn new(name: String, id: u32) -> Self {
        Self { name, id }
    }

    /// Has it this name?
    pub fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Is it one of those that have this name and a number, such as `worker-2`?
    pub fn is_one_of(&self, name: &str) -> bool {
        self.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
    }

    /// Sends it a signal, such as STOP.
    pub async fn signal(&self, signal: &str) -> Result<(), Failure> {
        let mut kill = tokio::process::Command::new("kill");
        let sent = kill.arg(format!("-{signal}")).arg(self.id.to_string()).status().await;
        if sent.map_err(Failure::failed)?.success() {
            return Ok(());
        }
        Err(Failure::failed(format!("process {self} takes no signal")))
    }

    /// Asks it to stop, unless it has, and waits until it is gone.
    pub async fn end(&self) -> Result<(), Failure> {
        if self.is_gone() {
            return Ok(());
        }
        self.signal("TERM").await?;
        let begun = Instant::now();
        while !self.is_gone() {
            if begun.elapsed() > END_WAIT_MAX {
                return Err(Failure::failed(format!("process {self} does not stop")));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// A process that nobody has waited for yet is a zombie (state Z).
    fn is_gone(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id)).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, fields)| fields.trim_start().starts_with('Z'))
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.id)
    }
}

/// How long a process may take to stop.
const END_WAIT_MAX: Duration = Duration::from_mins(1);

/// A text that names no process.
#[derive(Debug, thiserror::Error)]
#[error("process {0:?} is invalid: expected NAME=ID")]
pub struct InvalidWatched(String);

impl FromStr for Watched {
    type Err = InvalidWatched;

    fn from_str(text: &str) -> Result<Self, InvalidWatched> {
        let invalid = || InvalidWatched(text.to_owned());
        let (name, id) = text.split_once('=').ok_or_else(invalid)?;
        Ok(Self { name: name.to_owned(), id: id.parse().map_err(|_| invalid())? })
    }
}

/// Refuses what could not be told at the end: a name that stands twice or is the bench's own, and a
/// process that is not there.
pub fn check(watched: &[Watched]) -> Result<(), Failure> {
    let mut names = HashSet::from([BENCH, THREAD]);
    for Watched { name, id } in watched {
        if !names.insert(name) {
            return Err(Failure::usage(format!("--process {name}={id}: {name} is taken")));
        }
        if let Err(error) = std::fs::read_to_string(format!("/proc/{id}/stat")) {
            return Err(Failure::usage(format!("--process {name}={id}: {error}")));
        }
    }
    Ok(())
}

/// The bench itself.
pub const BENCH: &str = "bench";

fn and_bench(watched: &[Watched]) -> impl Iterator<Item = (&str, u32)> {
    let watched = watched.iter().map(|process| (process.name.as_str(), process.id));
    watched.chain(std::iter::once((BENCH, std::process::id())))
}

/// The kernel counts in hundredths of a second (`USER_HZ`).
const MICROS_PER_TICK: u64 = 10_000;

/// CPU that was used until now, in µs, by process. The bench is one of them.
pub struct Usage(BTreeMap<String, u64>);

impl Usage {
    pub fn of(watched: &[Watched]) -> Self {
        let used = and_bench(watched).filter_map(|(name, id)| {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            Some((name.to_owned(), cpu_us(&stat)?))
        });
        let mut used: BTreeMap<String, u64> = used.collect();
        let receiver = receiver_cpu_us();
        if let Some(bench) = used.get_mut(BENCH) {
            *bench = bench.saturating_sub(receiver);
        }
        used.insert(THREAD.to_owned(), receiver);
        Self(used)
    }

    /// What each has used since, in µs for each of `count`.
    pub fn until_now(&self, watched: &[Watched], count: u64) -> BTreeMap<String, u64> {
        let now = Self::of(watched);
        let each = |(name, after): (&String, &u64)| {
            let before = self.0.get(name)?;
            Some((name.clone(), after.saturating_sub(*before) / count.max(1)))
        };
        now.0.iter().filter_map(each).collect()
    }
}

/// The bench's own receiver has a thread of its own.
fn receiver_cpu_us() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let stats =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    let own = stats.filter(|stat| stat.contains(&format!("({THREAD})")));
    own.filter_map(|stat| cpu_us(&stat)).sum()
}

/// Fields 14 and 15, counted from behind the name, which may hold anything but its own end.
fn cpu_us(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) * MICROS_PER_TICK)
}

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    pub now_kib: u64,
    pub peak_kib: u64,
}

/// What each process holds now, and held at most.
pub fn memory(watched: &[Watched]) -> BTreeMap<String, Memory> {
    let read = |(name, id): (&str, u32)| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let memory = Memory { now_kib: kib(&status, "VmRSS:")?, peak_kib: kib(&status, "VmHWM:")? };
        Some((name.to_owned(), memory))
    };
    and_bench(watched).filter_map(read).collect()
}

fn kib(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells() {
        let stat = "4711 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(cpu_us(stat), Some(3_000_000));
        assert_eq!(kib("Name:\tx\nVmHWM:\t  1234 kB\nVmRSS:\t 999 kB\n", "VmHWM:"), Some(1234));
        assert!(Usage::of(&[]).0.contains_key("bench"));
        assert!("server".parse::<Watched>().is_err());
        assert_eq!("server=7".parse::<Watched>().unwrap().id, 7);
    }

    #[test]
    fn what_could_not_be_told_is_refused() {
        let own = std::process::id();
        let check = |names: &[&str], id: u32| {
            let watched = |name: &&str| Watched { name: (*name).to_owned(), id };
            check(&names.iter().map(watched).collect::<Vec<_>>()).is_ok()
        };
        assert!(check(&["api", "worker"], own));
        assert!(!check(&["worker", "worker"], own));
        assert!(!check(&["bench"], own));
        assert!(!check(&["api"], u32::MAX));
    }
}
