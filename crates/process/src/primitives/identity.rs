//! A process by its number and the time of its start, in one word, and whether it is gone.
//!
//! A number alone would not do, as it is given to other processes later. The time is the lower half of what the system counts in,
//! hundredths of a second since it was started: the same one again for the same number is as good as impossible.

use raddle_sys::pidfd::Pidfd;
use raddle_sys::{fork, process};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The bits of the number: the system gives out none above 2²².
const NUMBER: u64 = (1 << 22) - 1;

/// A bit that no identity has.
pub const FLAG: u64 = 1 << 31;

static MINE: AtomicU64 = AtomicU64::new(0);
/// The fork epoch that [`MINE`] was found in.
static SINCE: AtomicU32 = AtomicU32::new(0);

/// This process; never zero.
#[inline]
#[must_use]
pub fn mine() -> u64 {
    if SINCE.load(Ordering::Acquire) == fork::epoch() { MINE.load(Ordering::Relaxed) } else { look_up() }
}

#[cold]
fn look_up() -> u64 {
    fork::watch();
    let epoch = fork::epoch();
    let id = process::id();
    let mine = of(id, process::start_time(id).unwrap_or(0));
    // Threads that look it up at the same time store the same.
    MINE.store(mine, Ordering::Relaxed);
    SINCE.store(epoch, Ordering::Release);
    mine
}

pub(super) fn prepare() {
    let _ = mine();
}

fn of(id: u32, start: u64) -> u64 {
    u64::from(id) & NUMBER | start << 32
}

/// The process's number.
#[must_use]
pub fn number(identity: u64) -> u32 {
    (identity & NUMBER) as u32
}

/// Whether the process has ended, waited for by its parent or not. In doubt, it has not. Costs some microseconds.
#[must_use]
pub fn is_gone(identity: u64) -> bool {
    if identity == mine() {
        return false;
    }
    let id = number(identity);
    let over = match Pidfd::open(id) {
        Ok(process) => process.is_over(),
        Err(error) if error.raw_os_error() == Some(3) => true, // ESRCH: no such process
        Err(_) => false,
    };
    // Somebody else may have the number by now. A start of zero is one that could not be read.
    let start = identity & !u64::from(u32::MAX);
    over || start != 0 && process::start_time(id).is_some_and(|start_now| start_now << 32 != start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_gone_once_it_has_ended_also_before_it_is_waited_for() {
        let mut child = Command::new("sleep").arg("600").spawn().expect("it starts");
        let id = child.id();
        let identity = of(id, process::start_time(id).expect("it runs"));
        assert!(!is_gone(identity));
        assert!(is_gone(of(id, 1)), "another process of the same number");
        child.kill().expect("it runs");
        while !is_gone(identity) {
            std::thread::yield_now();
        }
        child.wait().expect("our own child");
        assert!(is_gone(identity));
        assert!(!is_gone(mine()));
    }

    #[test]
    fn a_forked_child_is_another_process() {
        let parent = mine();
        assert!(fork::check_in_child(60, || mine() != parent && !is_gone(parent)));
    }
}
