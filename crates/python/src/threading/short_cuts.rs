//! The short ways of primitives that nobody else wants at the moment: one atomic operation, and no more around it than must be.

use super::condition::{self, Condition};
use super::event::Event;
use super::lock::Lock;
use super::rlock::RLock;
use super::semaphore::{self, Semaphore};
use crate::ffi::short_cut::{Answer, short_cuts};

fn yes(done: bool) -> Option<Answer> {
    done.then_some(Answer::Yes)
}

fn nothing(done: bool) -> Option<Answer> {
    done.then_some(Answer::Nothing)
}

short_cuts! {
    LockAcquire: Lock "acquire" Nothing => |lock: &Lock, _, _| yes(lock.acquire_at_once());
    LockEnter: Lock "__enter__" Nothing => |lock: &Lock, _, _| yes(lock.acquire_at_once());
    LockRelease: Lock "release" Nothing => |lock: &Lock, _, _| nothing(lock.release_at_once());
    LockExit: Lock "__exit__" Whatever => |lock: &Lock, _, _| nothing(lock.release_at_once());
    RLockAcquire: RLock "acquire" Nothing => |lock: &RLock, _, _| yes(lock.acquire_at_once());
    RLockEnter: RLock "__enter__" Nothing => |lock: &RLock, _, _| yes(lock.acquire_at_once());
    RLockRelease: RLock "release" Nothing => |lock: &RLock, _, _| nothing(lock.release_at_once());
    RLockExit: RLock "__exit__" Whatever => |lock: &RLock, _, _| nothing(lock.release_at_once());
    ConditionAcquire: Condition "__enter__" Nothing => |condition: &Condition, _, _| yes(condition.acquire_at_once());
    ConditionRelease: Condition "release" Nothing => |condition: &Condition, _, _| nothing(condition.release_at_once());
    ConditionExit: Condition "__exit__" Whatever => |condition: &Condition, _, _| nothing(condition.release_at_once());
    ConditionNotify: Condition "notify" Nothing => |condition: &Condition, _, _| nothing(condition.notify_at_once());
    ConditionNotifyAll: Condition "notify_all" Nothing only condition::is_plain => |condition: &Condition, _, _| nothing(condition.notify_at_once());
    SemaphoreAcquire: Semaphore "acquire" Nothing => |semaphore: &Semaphore, _, _| yes(semaphore.acquire_at_once());
    SemaphoreEnter: Semaphore "__enter__" Nothing => |semaphore: &Semaphore, _, _| yes(semaphore.acquire_at_once());
    SemaphoreRelease: Semaphore "release" Nothing => |semaphore: &Semaphore, _, _| nothing(semaphore.release_at_once());
    SemaphoreExit: Semaphore "__exit__" Whatever only semaphore::is_plain => |semaphore: &Semaphore, _, _| nothing(semaphore.release_at_once());
    EventWait: Event "wait" Nothing => |event: &Event, _, _| yes(event.core.is_set());
}
