//! A worker that blocks gives its slot to another one meanwhile.
//!
//! Whoever is about to sleep inside a job calls [`release`]; on a thread that is no worker this does nothing. Nothing is
//! ever run inside the waiter's stack, where it could meet the locks that the waiter holds.

use crate::pool::{Pool, Runtime};
use crate::shared::Post;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::sync::Arc;

trait Slots {
    fn release(self: Arc<Self>, post: &Post) -> bool;
    fn retake(&self, post: &Post);
    fn address(&self) -> *const ();
}

impl<R: Runtime> Slots for Pool<R> {
    fn release(self: Arc<Self>, post: &Post) -> bool {
        // In a forked child the pool's lock may be held for ever.
        let ours = self.is_ours();
        if ours {
            self.release_slot(post);
        }
        ours
    }

    fn retake(&self, post: &Post) {
        self.retake_slot(post);
    }

    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }
}

type Current = (Arc<dyn Slots>, Arc<Post>);

// How many of the worker's waits are nested in each other: what runs inside one of them may wait itself.
thread_local!(static DEPTH: Cell<u32> = const { Cell::new(0) });
thread_local!(static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) });

/// While it lives, the calling thread is a worker.
pub(crate) struct Entered(());

pub(crate) fn enter<R: Runtime>(pool: Arc<Pool<R>>, post: Arc<Post>) -> Entered {
    CURRENT.set(Some((pool, post)));
    Entered(())
}

/// Whether the calling thread is one of the pool's workers.
pub fn is_worker_of<R: Runtime>(pool: &Arc<Pool<R>>) -> bool {
    CURRENT.with_borrow(|current| {
        current.as_ref().is_some_and(|(own, _)| own.address() == Arc::as_ptr(pool).cast())
    })
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.take();
    }
}

/// The calling worker's slot is free; dropped, the worker takes it back. Stays on its thread.
pub struct Released {
    place: Option<Current>,
    not_send: PhantomData<*const ()>,
}

impl std::fmt::Debug for Released {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Released").field("worker", &self.place.is_some()).finish()
    }
}

/// Frees the calling worker's slot while it sleeps; on any other thread nothing happens.
///
/// ```
/// let pool = raddle_pool::ThreadPool::new(1);
/// let inner = pool.clone();
/// // One worker, and its job waits for another job of the same pool: `join` releases the slot.
/// let outer = pool.submit(move || inner.submit(|| 42).join().expect("it does not panic"));
/// assert_eq!(outer.join().expect("it does not panic"), 42);
/// ```
#[must_use]
pub fn release() -> Released {
    let place = CURRENT.with_borrow(Option::clone);
    let place = place.filter(|(pool, post)| DEPTH.get() > 0 || Arc::clone(pool).release(post));
    if place.is_some() {
        DEPTH.set(DEPTH.get() + 1);
    }
    Released { place, not_send: PhantomData }
}

impl Drop for Released {
    fn drop(&mut self) {
        if let Some((pool, post)) = &self.place {
            DEPTH.set(DEPTH.get() - 1);
            if DEPTH.get() == 0 {
                pool.retake(post);
            }
        }
    }
}
