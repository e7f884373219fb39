//! The short ways of primitives that nobody else wants at the moment: one atomic operation, and no more around it than must be.

use super::condition::Condition;
use super::event::Event;
use super::lock::Lock;
use super::rlock::RLock;
use super::semaphore::Semaphore;
use crate::ffi::short_cut::{Answer, ShortCut, shorten};
use pyo3::prelude::*;
use std::ffi::c_void;
use std::sync::atomic::AtomicPtr;

/// For each method a name of its own, its class, its name in Python, whether arguments make no difference, and the short way.
macro_rules! short_cuts {
    ($($short:ident: $class:ident $name:literal $any:literal => $run:expr;)*) => {
        $(
            struct $short;

            impl ShortCut for $short {
                type Class = $class;
                const NAME: &'static str = $name;
                const ANY_ARGUMENTS: bool = $any;

                #[inline]
                fn run(object: &$class) -> Option<Answer> {
                    let run: fn(&$class) -> Option<Answer> = $run;
                    run(object)
                }

                fn long_way() -> &'static AtomicPtr<c_void> {
                    static LONG_WAY: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
                    &LONG_WAY
                }
            }
        )*

        /// To be called when the module is made.
        pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
            $(shorten::<$short>(py)?;)*
            Ok(())
        }
    };
}

fn yes(done: bool) -> Option<Answer> {
    done.then_some(Answer::Yes)
}

fn nothing(done: bool) -> Option<Answer> {
    done.then_some(Answer::Nothing)
}

short_cuts! {
    LockAcquire: Lock "acquire" false => |lock| yes(lock.acquire_at_once());
    LockEnter: Lock "__enter__" false => |lock| yes(lock.acquire_at_once());
    LockRelease: Lock "release" false => |lock| nothing(lock.release_at_once());
    LockExit: Lock "__exit__" true => |lock| nothing(lock.release_at_once());
    RLockAcquire: RLock "acquire" false => |lock| yes(lock.acquire_at_once());
    RLockEnter: RLock "__enter__" false => |lock| yes(lock.acquire_at_once());
    RLockRelease: RLock "release" false => |lock| nothing(lock.release_at_once());
    RLockExit: RLock "__exit__" true => |lock| nothing(lock.release_at_once());
    ConditionAcquire: Condition "__enter__" false => |condition| yes(condition.acquire_at_once());
    ConditionRelease: Condition "release" false => |condition| nothing(condition.release_at_once());
    ConditionExit: Condition "__exit__" true => |condition| nothing(condition.release_at_once());
    ConditionNotify: Condition "notify" false => |condition| nothing(condition.notify_at_once(1));
    ConditionNotifyAll: Condition "notify_all" false => |condition| nothing(condition.notify_at_once(usize::MAX));
    SemaphoreAcquire: Semaphore "acquire" false => |semaphore| yes(semaphore.acquire_at_once());
    SemaphoreEnter: Semaphore "__enter__" false => |semaphore| yes(semaphore.acquire_at_once());
    SemaphoreRelease: Semaphore "release" false => |semaphore| nothing(semaphore.release_at_once());
    SemaphoreExit: Semaphore "__exit__" true => |semaphore| nothing(semaphore.release_at_once());
    EventWait: Event "wait" false => |event| yes(event.core.is_set());
}
