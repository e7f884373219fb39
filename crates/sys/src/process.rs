//! This process and others: who is whose parent, signals, and what the system says of a process in `/proc`.

mod memory;

pub use memory::{oom_kills, private_bytes, resident_bytes};

use crate::check;
use std::io;

/// The number of this process.
///
/// ```
/// assert_eq!(raddle_sys::process::id(), std::process::id());
/// ```
#[must_use]
pub fn id() -> u32 {
    std::process::id()
}

/// The number of the parent; another one's once the parent has ended, and zero when the parent stands outside of this process's
/// namespace.
#[must_use]
pub fn parent_id() -> u32 {
    std::os::unix::process::parent_id()
}

/// Has the system kill this process when the *thread* that made it ends. Returns whether the parent is still
/// `expected_parent`; if not, it ended before the call and nothing will kill this process.
///
/// Children don't inherit it, and it is void once the process has executed a program with set-user-ID.
///
/// # Errors
///
/// None that a Linux system is known to give.
pub fn die_with_parent(expected_parent: u32) -> io::Result<bool> {
    // SAFETY: takes two numbers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    Ok(parent_id() == expected_parent)
}

/// As [`die_with_parent`], and with this process ends the group that it leads by then: what it has started goes too.
///
/// The group is killed by the handler of a real-time signal, [`death_signal`]. A process that is stopped, or that blocks it, does
/// not run the handler before it goes on: who has to be sure needs a second line.
///
/// # Errors
///
/// None that a Linux system is known to give.
pub fn die_with_parent_and_group(expected_parent: u32) -> io::Result<bool> {
    let signal = death_signal();
    handle(signal, end_group as *const () as libc::sighandler_t)?;
    // SAFETY: the set is initialized by the call before it is used.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
    }
    // SAFETY: takes two numbers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) })?;
    Ok(parent_id() == expected_parent)
}

/// The signal by which [`die_with_parent_and_group`] hears of the parent's end.
#[must_use]
pub fn death_signal() -> i32 {
    libc::SIGRTMAX() - 5
}

extern "C" fn end_group(_signal: libc::c_int) {
    // SAFETY: all of these are async-signal-safe, and take numbers.
    unsafe {
        let process = libc::getpid();
        if libc::getpgrp() == process {
            libc::kill(0, libc::SIGKILL);
        }
        libc::kill(process, libc::SIGKILL);
    }
}

extern "C" fn do_nothing(_signal: libc::c_int) {}

/// Leaves what the terminal has to say to others: SIGINT does nothing here, and a process in the background may read and set the
/// terminal's modes instead of being stopped.
///
/// Programs that this process executes are interrupted as usual: SIGINT is caught, not ignored, which they would inherit.
///
/// # Errors
///
/// None that a Linux system is known to give.
pub fn disregard_terminal() -> io::Result<()> {
    handle(libc::SIGINT, do_nothing as *const () as libc::sighandler_t)?;
    // To catch these would have the call that raised them repeated for ever.
    handle(libc::SIGTTIN, libc::SIG_IGN)?;
    handle(libc::SIGTTOU, libc::SIG_IGN)
}

fn handle(signal: i32, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: all zeros is a valid action; the handlers above are static and only do what a handler may.
    let status = unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut())
    };
    check(status).map(drop)
}

/// Makes this process the leader of a new process group, so that it and the processes that it makes can be killed together.
///
/// # Errors
///
/// `PermissionDenied` for the leader of a session.
pub fn lead_group() -> io::Result<()> {
    // SAFETY: takes two numbers; zeros stand for the calling process.
    check(unsafe { libc::setpgid(0, 0) }).map(drop)
}

/// Sends `signal` to a process; signal 0 only asks whether that would be possible.
///
/// # Errors
///
/// `ESRCH` when there is none with this number; `PermissionDenied`; `InvalidInput` for numbers that stand for more than one
/// process, or none.
pub fn kill(pid: u32, signal: i32) -> io::Result<()> {
    match libc::pid_t::try_from(pid) {
        // SAFETY: takes two numbers, and the first means one process.
        Ok(pid) if pid > 0 => check(unsafe { libc::kill(pid, signal) }).map(drop),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Sends `signal` to all processes of a group.
///
/// # Errors
///
/// `ESRCH` when the group has no process; `PermissionDenied` when it is none of ours; `InvalidInput` for 0 and 1, which would
/// stand for the own group and for every process there is.
pub fn kill_group(group: u32, signal: i32) -> io::Result<()> {
    match libc::pid_t::try_from(group) {
        // SAFETY: takes two numbers, and the first means one group.
        Ok(group) if group > 1 => check(unsafe { libc::kill(-group, signal) }).map(drop),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// When a process was started, in clock ticks since the boot: together with its number it means one process for ever. None when there
/// is no such process.
///
/// ```
/// use raddle_sys::process;
/// assert!(process::start_time(process::id()) >= process::start_time(process::parent_id()));
/// ```
#[must_use]
pub fn start_time(pid: u32) -> Option<u64> {
    start_time_in(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of a `stat` file. The second field is a name in parentheses, which may hold spaces and parentheses itself.
fn start_time_in(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
#[expect(clippy::zombie_processes, reason = "waited for by descriptor")]
mod tests {
    use super::*;
    use crate::fork::check_in_child;
    use crate::pidfd::{Exit, Pidfd};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        assert_eq!(start_time_in(&format!("1 (a) b) (c) {}\n", fields.join(" "))), Some(22));
        assert_eq!(start_time_in("1 (a"), None);
        assert_eq!(start_time_in("1 (a) R 1"), None);
    }

    #[test]
    fn a_child_knows_whether_its_parent_is_there() {
        let parent = id();
        assert!(check_in_child(60, || parent_id() == parent && die_with_parent(parent).expect("granted")));
        assert!(check_in_child(60, || !die_with_parent(parent + 1).expect("granted")));
    }

    #[test]
    fn what_a_process_has_started_ends_with_the_parent() {
        let (read, write) = std::io::pipe().expect("descriptors");
        let (mut started, mut starts) = std::io::pipe().expect("descriptors");
        // SAFETY: single calls between fork and exit; the shell is a program of its own.
        let parent = unsafe { libc::fork() };
        if parent == 0 {
            let middle = id();
            // SAFETY: as above.
            if unsafe { libc::fork() } == 0 {
                let is_there = die_with_parent_and_group(middle).expect("granted");
                lead_group().expect("no leader of a session");
                let sleep = Command::new("sleep").arg("600").stdout(write).spawn();
                assert!(is_there && sleep.is_ok());
                std::io::Write::write_all(&mut starts, b"!").expect("a pipe");
                loop {
                    std::thread::park();
                }
            }
            std::io::Read::read_exact(&mut started, &mut [0]).expect("a pipe");
            // SAFETY: ends the process as nothing else does.
            unsafe { libc::_exit(0) };
        }
        drop(write);
        // The pipe ends with the last of them.
        let mut nothing = Vec::new();
        std::io::Read::read_to_end(&mut &read, &mut nothing).expect("a pipe");
        assert!(nothing.is_empty());
        // SAFETY: our own child.
        unsafe { libc::waitpid(parent, std::ptr::null_mut(), 0) };
    }

    #[test]
    fn what_is_disregarded_here_is_as_usual_in_another_program() {
        assert!(check_in_child(60, || {
            disregard_terminal().expect("granted");
            kill(id(), libc::SIGINT).expect("we are there");
            let status = Command::new("sh").args(["-c", "kill -INT $$"]).status().expect("a shell");
            std::os::unix::process::ExitStatusExt::signal(&status) == Some(libc::SIGINT)
        }));
    }

    #[test]
    fn a_group_is_killed_together() {
        let child =
            Command::new("sh").args(["-c", "sleep 600 & wait"]).process_group(0).spawn().expect("a shell");
        let process = Pidfd::open(child.id()).expect("it runs");
        kill_group(child.id(), libc::SIGKILL).expect("it is ours");
        while !process.is_over() {
            std::thread::yield_now();
        }
        assert_eq!(process.wait().expect("it is our child"), Some(Exit::Signal(libc::SIGKILL)));
    }

    #[test]
    fn a_process_can_lead_a_group() {
        assert!(check_in_child(60, || {
            lead_group().expect("not a session's leader");
            // SAFETY: takes a number, and can't fail for the calling process.
            let group = unsafe { libc::getpgid(0) };
            group.cast_unsigned() == id()
        }));
    }

    #[test]
    fn nobody_kills_everybody_by_accident() {
        for number in [0, 1 << 31, u32::MAX] {
            assert_eq!(kill(number, 0).expect_err("no process").kind(), io::ErrorKind::InvalidInput);
        }
        for number in [0, 1, u32::MAX] {
            assert_eq!(kill_group(number, 0).expect_err("no group").kind(), io::ErrorKind::InvalidInput);
        }
        kill(id(), 0).expect("we are there");
    }
}
