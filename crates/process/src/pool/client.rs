//! What a pool of processes needs to know of the world it works in.

use super::Pool;
use super::order::{Death, Order, Reply};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The side of a pool that knows what a task is. All methods may be called from any thread; those that say so under the pool's
/// lock, and must then be short and call nothing foreign.
pub trait Client: Send + Sync + Sized + 'static {
    /// A task as the client knows it.
    type Task: Send + 'static;

    /// What a worker that is started now, of this name and number, is told, and what descriptors it gets besides.
    ///
    /// # Errors
    ///
    /// When there is no saying; the worker is not started.
    fn order(&self, name: &str, number: u64) -> io::Result<(Vec<u8>, Vec<OwnedFd>)>;

    /// Under the lock: the task is about to be handed to a worker. False when nobody wants it any more.
    fn begin(&self, task: &Self::Task) -> bool;

    /// Under the lock: the task is back in the queue before it began. False when nobody wants it any more.
    fn put_back(&self, task: &Self::Task) -> bool;

    /// The task has run. It may be submitted again: the pool does not end before this returns.
    fn finished(&self, pool: &Arc<Pool<Self>>, order: Order<Self::Task>, reply: Reply);

    /// The task's worker died while it ran. Likewise.
    fn lost(&self, pool: &Arc<Pool<Self>>, order: Order<Self::Task>, death: Arc<Death>);

    /// Nobody wanted the task any more.
    fn dropped(&self, task: Self::Task);

    /// A worker said something that is the client's own business.
    fn note(&self, worker: &str, kind: u16, body: Vec<u8>);

    /// Under the lock: the pool is broken, as an initializer failed with this pickled error.
    fn broken(&self, error: Vec<u8>);

    /// Under the lock: the pool is broken, as its workers die before they have done anything, the last one in this way; or as none could be
    /// started, for this reason.
    fn hopeless(&self, death: Option<Arc<Death>>, why: &str);

    /// The pool is broken, and the task will not be run.
    fn abandoned(&self, task: Self::Task);

    /// The pool is broken, and what the client has put aside for it will not be run either.
    fn deserted(&self);

    /// Whether there is something to [tidy](Client::tidy) up.
    fn is_untidy(&self) -> bool {
        false
    }

    /// Lets go of what it has kept until there is nothing else to do.
    fn tidy(&self) {}

    /// Something went wrong that no task can tell.
    fn complain(&self, what: &str);
}
