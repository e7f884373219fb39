//! The short ways of primitives that nobody else wants at the moment: see [`crate::ffi::short_cut`].

use super::event::SharedEvent;
use super::lock::{SharedLock, SharedRLock};
use super::semaphore::SharedSemaphore;
use crate::ffi::short_cut::{Answer, short_cuts};

fn yes(done: bool) -> Option<Answer> {
    done.then_some(Answer::Yes)
}

fn nothing(done: bool) -> Option<Answer> {
    done.then_some(Answer::Nothing)
}

short_cuts! {
    LockAcquire: SharedLock "acquire" Nothing => |lock: &SharedLock, _, _| yes(lock.core.try_acquire());
    LockEnter: SharedLock "__enter__" Nothing => |lock: &SharedLock, _, _| yes(lock.core.try_acquire());
    LockRelease: SharedLock "release" Nothing => |lock: &SharedLock, _, _| nothing(lock.core.release_alone());
    LockExit: SharedLock "__exit__" Whatever => |lock: &SharedLock, _, _| nothing(lock.core.release_alone());
    RLockAcquire: SharedRLock "acquire" Nothing => |lock: &SharedRLock, _, _| yes(lock.acquire_at_once());
    RLockEnter: SharedRLock "__enter__" Nothing => |lock: &SharedRLock, _, _| yes(lock.acquire_at_once());
    RLockRelease: SharedRLock "release" Nothing => |lock: &SharedRLock, _, _| nothing(lock.release_at_once());
    RLockExit: SharedRLock "__exit__" Whatever => |lock: &SharedRLock, _, _| nothing(lock.release_at_once());
    SemaphoreAcquire: SharedSemaphore "acquire" Nothing => |semaphore: &SharedSemaphore, _, _| yes(semaphore.core.try_acquire());
    SemaphoreEnter: SharedSemaphore "__enter__" Nothing => |semaphore: &SharedSemaphore, _, _| yes(semaphore.core.try_acquire());
    SemaphoreRelease: SharedSemaphore "release" Nothing => |semaphore: &SharedSemaphore, _, _| nothing(semaphore.core.release().is_ok());
    SemaphoreExit: SharedSemaphore "__exit__" Whatever => |semaphore: &SharedSemaphore, _, _| nothing(semaphore.core.release().is_ok());
    EventWait: SharedEvent "wait" Nothing => |event: &SharedEvent, _, _| yes(event.core.is_set());
}
