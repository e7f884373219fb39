//! The pool for Rust closures.

use crate::pool::{Pool, Runtime, Submit};
use crate::shared::Stats;
use crate::slot;
use raddle_sync::Wake;
use raddle_task::completion::{Cancel, Completion};
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

type Job = Box<dyn FnOnce() + Send>;
/// `None` once the outcome has been taken.
type Task<T> = Completion<Option<std::thread::Result<T>>, Waker>;

/// Threads of the standard library, jobs that are closures.
struct Closures;

impl Runtime for Closures {
    type Job = Job;
    type Local = ();

    fn spawn(&self, pool: &Arc<Pool<Self>>) -> io::Result<()> {
        let pool = Arc::clone(pool);
        let worker = std::thread::Builder::new().name("raddle-worker".into());
        worker.spawn(move || pool.work(&Arc::default(), &Arc::new(()))).map(drop)
    }

    fn unheard(&self, error: io::Error, stranded: Vec<Job>) {
        // Dropped jobs leave their handles without an outcome, which a joiner must not wait for in silence.
        assert!(stranded.is_empty(), "no worker thread could be started: {error}");
    }

    fn run(&self, _pool: &Arc<Pool<Self>>, job: Job, _local: &Arc<()>) {
        // The job has caught its own panics; what is left are those of destructors, which the panic hook has reported.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }

    fn detached<R: Send>(&self, _local: &Arc<()>, wait: impl FnOnce() -> R + Send) -> R {
        wait()
    }
}

struct Handle {
    pool: Arc<Pool<Closures>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.pool.drain();
    }
}

/// A thread pool for Rust programs. Clones share the pool; when the last one is dropped, the workers finish what was
/// submitted and end.
///
/// ```
/// let pool = raddle_pool::ThreadPool::new(2);
/// let squares: Vec<_> = (0..10_u64).map(|n| pool.submit(move || n * n)).collect();
/// let sum: u64 = squares.into_iter().map(|square| square.join().expect("no panic")).sum();
/// assert_eq!(sum, 285);
/// ```
#[derive(Clone)]
pub struct ThreadPool {
    handle: Arc<Handle>,
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ThreadPool").field("stats", &self.stats()).finish()
    }
}

impl ThreadPool {
    /// A pool that runs up to `workers` closures at once. Threads start when they are needed.
    ///
    /// # Panics
    ///
    /// When `workers` is 0: nothing would ever run.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        assert!(workers > 0, "a pool needs at least one worker");
        Self { handle: Arc::new(Handle { pool: Pool::new(Closures, workers, None) }) }
    }

    /// Runs `work` on a worker.
    ///
    /// # Panics
    ///
    /// When the pool has no thread and the system refuses to start one.
    pub fn submit<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let task = Arc::new(Task::<T>::default());
        let promise = Arc::clone(&task);
        let job: Job = Box::new(move || {
            if promise.start() {
                let outcome = catch_unwind(AssertUnwindSafe(work));
                for waker in promise.complete(Some(outcome)).unwrap_or_default() {
                    waker.wake();
                }
            }
        });
        match self.handle.pool.submit(job, 0) {
            Ok(()) => JoinHandle { task },
            Err(Submit::NoWorker(_, error)) => panic!("no worker thread could be started: {error}"),
            Err(Submit::Closed(_) | Submit::Full(..)) => {
                unreachable!("unbounded, and open while a handle lives")
            }
        }
    }

    /// Changes how many closures may run at once, at least one; surplus workers end after what they run.
    pub fn resize(&self, workers: usize) {
        self.handle.pool.resize(workers.max(1));
    }

    /// Numbers of workers and jobs at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle.pool.stats()
    }
}

/// A closure's outcome to come: [`join`](Self::join) it from a thread, or await it.
pub struct JoinHandle<T> {
    task: Arc<Task<T>>,
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JoinHandle").field("state", &self.task.state()).finish()
    }
}

impl<T> JoinHandle<T> {
    /// Waits for the outcome. A worker that joins gives its slot to another one meanwhile.
    ///
    /// # Errors
    ///
    /// The payload of the closure's panic.
    ///
    /// # Panics
    ///
    /// When the task was cancelled.
    pub fn join(self) -> std::thread::Result<T> {
        if let Some(sleeper) = self.task.sleeper() {
            let _released = slot::release();
            while sleeper.sleep(None) != Wake::Woken {}
            // Nobody abandons a task here: no awaiters are counted.
            let _ = sleeper.leave();
        }
        self.outcome()
    }

    /// Cancels the task if no worker has begun it; true when it was cancelled.
    pub fn cancel(&self) -> bool {
        match self.task.cancel(|_| false) {
            Cancel::Now(wakers) => {
                wakers.into_iter().for_each(Waker::wake);
                true
            }
            Cancel::Before => true,
            Cancel::TooLate => false,
        }
    }

    /// Whether there is an outcome, or never will be.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.task.state().is_done()
    }

    fn outcome(&self) -> std::thread::Result<T> {
        let (outcome, _) = self.task.clear();
        outcome.flatten().expect("the task was cancelled, or its outcome already taken")
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = std::thread::Result<T>;

    /// # Cancel safety
    ///
    /// Dropping the handle leaves the closure running.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        drop(self.task.forget(|waker| waker.will_wake(context.waker())));
        match self.task.observe(context.waker().clone(), false) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(self.outcome()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    #[test]
    fn a_panic_costs_one_task() {
        let pool = ThreadPool::new(1);
        let failed = pool.submit(|| panic!("on purpose"));
        assert!(failed.join().is_err());
        assert_eq!(pool.submit(|| 1).join().expect("no panic"), 1);
        assert_eq!(pool.stats().workers, 1);
    }

    #[test]
    fn nested_joins_work_with_one_worker() {
        fn nest(pool: &ThreadPool, depth: u32) -> u32 {
            if depth == 0 {
                return 0;
            }
            let inner = pool.clone();
            pool.submit(move || nest(&inner, depth - 1) + 1).join().expect("no panic")
        }
        let pool = ThreadPool::new(1);
        assert_eq!(nest(&pool, 20), 20);
    }

    #[test]
    fn resizing_changes_how_many_run_at_once() {
        let pool = ThreadPool::new(1);
        pool.resize(4);
        let barrier = Arc::new(Barrier::new(4));
        let together: Vec<_> = (0..4)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                pool.submit(move || barrier.wait().is_leader())
            })
            .collect();
        let leaders = together.into_iter().filter_map(|task| task.join().ok()).filter(|leads| *leads).count();
        assert_eq!(leaders, 1);
    }

    #[test]
    fn a_cancelled_task_does_not_run() {
        let pool = ThreadPool::new(1);
        let (release, gate) = channel::<()>();
        let first = pool.submit(move || gate.recv().is_ok());
        let second = pool.submit(|| unreachable!("cancelled"));
        assert!(second.cancel());
        assert!(second.is_done());
        release.send(()).expect("the first task listens");
        assert!(first.join().expect("no panic"));
    }

    #[test]
    fn awaiting_wakes_the_waker() {
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let pool = ThreadPool::new(1);
        let mut task = std::pin::pin!(pool.submit(|| 7));
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let outcome = loop {
            match task.as_mut().poll(&mut context) {
                Poll::Ready(outcome) => break outcome,
                Poll::Pending => std::thread::park(),
            }
        };
        assert_eq!(outcome.expect("no panic"), 7);
    }
}
