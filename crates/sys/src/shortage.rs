//! Errors that say that the system has no more of something: they may pass, and there is a limit that can be named.

use std::io::{Error, ErrorKind};

/// Whether trying again a little later may help: no file descriptors, processes, threads or memory are left. True too of what has been
/// told by other means to be of this kind, as [`ErrorKind::ResourceBusy`].
///
/// ```
/// use raddle_sys::shortage::is_shortage;
/// assert!(is_shortage(&std::io::Error::from_raw_os_error(24)));
/// assert!(!is_shortage(&std::io::ErrorKind::NotFound.into()));
/// ```
#[must_use]
pub fn is_shortage(error: &Error) -> bool {
    match error.raw_os_error() {
        Some(number) => matches!(number, libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::ENOMEM),
        None => {
            matches!(error.kind(), ErrorKind::ResourceBusy | ErrorKind::WouldBlock | ErrorKind::OutOfMemory)
        }
    }
}

/// Which limit has been reached, in brackets, for people; empty where that is not known.
#[must_use]
pub fn limit_behind(error: &Error) -> String {
    match error.raw_os_error() {
        Some(libc::EMFILE) => match limit(libc::RLIMIT_NOFILE) {
            Some(limit) => format!(" (this process may have {limit} open files: ulimit -n)"),
            None => " (the limit of open files: ulimit -n)".to_owned(),
        },
        Some(libc::ENFILE) => " (the system's limit of open files: fs.file-max)".to_owned(),
        Some(libc::EAGAIN) => {
            let user =
                limit(libc::RLIMIT_NPROC).map(|limit| format!(", which is {limit},")).unwrap_or_default();
            format!(
                " (the user's limit of processes{user} ulimit -u, or that of the control group, pids.max)"
            )
        }
        Some(libc::ENOMEM) => " (the limit of address space, ulimit -v, or that of memory)".to_owned(),
        _ => String::new(),
    }
}

/// The limit that holds now. None where there is none.
fn limit(resource: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes to `limit`, which is its own.
    let status = unsafe { libc::getrlimit(resource, &raw mut limit) };
    (status == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_named() {
        assert!(limit_behind(&Error::from_raw_os_error(libc::EMFILE)).contains("ulimit -n"));
        assert!(limit_behind(&Error::from_raw_os_error(libc::EAGAIN)).contains("pids.max"));
        assert_eq!(limit_behind(&Error::other("x")), "");
    }

    #[test]
    fn what_was_told_by_other_means_counts() {
        assert!(is_shortage(&Error::new(ErrorKind::ResourceBusy, "x")));
        assert!(!is_shortage(&Error::other("x")));
    }
}
