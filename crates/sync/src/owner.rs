//! Who holds a primitive, or waits for it: a thread, or a coroutine's task on one.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// A thread or a task, as a number that a lock's word can hold beside its flags.
///
/// The lowest bits ([`Owner::FLAGS`]) are always clear; [`TASK`](Owner::is_task) tells the two kinds apart. A thread's number
/// is never given to another thread. A forked child's only thread keeps the number it had in the parent, so that it can
/// release what it holds.
///
/// ```
/// use raddle_sync::Owner;
///
/// let me = Owner::current_thread();
/// assert_eq!(me, Owner::current_thread());
/// let other = std::thread::spawn(Owner::current_thread).join().expect("it does not panic");
/// assert_ne!(me, other);
/// assert!(Owner::task(0x7f00).is_task() && !me.is_task());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(NonZeroU64);

/// Set in a task's number.
const TASK: u64 = 0b100;

static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local!(static CURRENT: Cell<Option<Owner>> = const { Cell::new(None) });

impl Owner {
    /// The bits that a lock's word may use for itself.
    pub const FLAGS: u64 = 0b011;

    /// The calling thread.
    #[inline]
    #[must_use]
    pub fn current_thread() -> Self {
        CURRENT.get().unwrap_or_else(Self::first)
    }

    #[cold]
    fn first() -> Self {
        let me = Self::thread(NEXT.fetch_add(1, Ordering::Relaxed));
        CURRENT.set(Some(me));
        #[cfg(not(loom))]
        idents::enter(me);
        me
    }

    /// What the system calls a living thread (`pthread_self`); None for a task, for a thread that has ended, and in a forked
    /// child for one that stayed behind in the parent.
    #[cfg(not(loom))]
    #[must_use]
    pub fn thread_ident(self) -> Option<u64> {
        idents::of(self)
    }

    /// The thread with this number, for models and tests.
    pub(crate) const fn thread(number: u64) -> Self {
        Self(NonZeroU64::new(number << 3).expect("threads are counted from one"))
    }

    /// The task at this address, which must be a multiple of eight and stay the task's own while it holds or waits.
    ///
    /// # Panics
    ///
    /// When the address is no such multiple, or zero.
    #[must_use]
    pub const fn task(address: u64) -> Self {
        assert!(address != 0 && address & (TASK | Self::FLAGS) == 0, "objects are aligned to eight bytes");
        Self(NonZeroU64::new(address | TASK).expect("a set bit"))
    }

    /// Whether it is a coroutine's task, and no thread.
    #[must_use]
    pub const fn is_task(self) -> bool {
        self.0.get() & TASK != 0
    }

    /// The address that a task's number was made from; None for a thread.
    #[must_use]
    pub const fn task_address(self) -> Option<u64> {
        if self.is_task() { Some(self.0.get() & !(TASK | Self::FLAGS)) } else { None }
    }

    /// The number itself, for a lock's word. Never zero.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// Whose number stands in a lock's word, the flags aside.
    #[inline]
    #[must_use]
    pub const fn in_word(word: u64) -> Option<Self> {
        match NonZeroU64::new(word & !Self::FLAGS) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(loom))]
    #[test]
    fn a_forked_child_has_one_of_its_parents_threads() {
        let me = Owner::current_thread();
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            tell.send(Owner::current_thread()).expect("it is waited for");
            let _ = ended.recv();
        });
        let theirs = told.recv().expect("it tells");
        assert!(theirs.thread_ident().is_some());
        assert!(raddle_sys::fork::check_in_child(60, || {
            theirs.thread_ident().is_none() && me.thread_ident() == Some(raddle_sys::thread::ident())
        }));
        drop(end);
        other.join().expect("no panic");
        assert_eq!(theirs.thread_ident(), None);
    }

    #[test]
    fn a_word_keeps_its_owner_beside_the_flags() {
        for owner in [Owner::thread(1), Owner::task(0x7fff_dead_bee8)] {
            assert_eq!(owner.get() & Owner::FLAGS, 0);
            assert_eq!(Owner::in_word(owner.get() | Owner::FLAGS), Some(owner));
        }
        assert_eq!(Owner::in_word(Owner::FLAGS), None);
    }

    #[test]
    fn a_task_is_no_thread() {
        assert_ne!(Owner::task(8), Owner::thread(1));
        assert!(!Owner::thread(u64::MAX >> 3).is_task());
        assert_eq!(Owner::task(0x7f00).task_address(), Some(0x7f00));
        assert_eq!(Owner::thread(1).task_address(), None);
    }
}

/// Which thread is which, for those who tell of them.
#[cfg(not(loom))]
mod idents {
    use super::Owner;
    use crate::fork_mutex::{ForkMutex, Inherit};
    use std::collections::HashMap;
    use std::sync::LazyLock;

    #[derive(Default)]
    struct Idents(HashMap<Owner, u64>);

    impl Inherit for Idents {
        /// The thread that forked is the only one that a child has.
        fn inherit(&mut self, parent: &mut Self) {
            let survivor = raddle_sys::fork::survivor();
            self.0 = std::mem::take(&mut parent.0);
            self.0.retain(|_, ident| Some(*ident) == survivor);
        }
    }

    static IDENTS: LazyLock<ForkMutex<Idents>> = LazyLock::new(ForkMutex::default);

    /// Leaves the list when its thread ends.
    struct Entered(Owner);

    impl Drop for Entered {
        fn drop(&mut self) {
            IDENTS.lock().0.remove(&self.0);
        }
    }

    thread_local!(static ENTERED: std::cell::Cell<Option<Entered>> = const { std::cell::Cell::new(None) });

    pub(super) fn enter(me: Owner) {
        IDENTS.lock().0.insert(me, raddle_sys::thread::ident());
        // Fails at the very end of a thread: then nobody removes it from the list.
        let _ = ENTERED.try_with(|entered| entered.set(Some(Entered(me))));
    }

    pub(super) fn of(owner: Owner) -> Option<u64> {
        IDENTS.lock().0.get(&owner).copied()
    }
}
