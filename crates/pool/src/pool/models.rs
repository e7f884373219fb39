//! Models of waking, blocking and shutdown, run by loom over every interleaving up to a bound.

use super::*;
use loom::sync::atomic::{AtomicUsize, Ordering};

/// Jobs that count; a job above 1 submits its predecessor and waits for nothing.
struct Counting {
    ran: Arc<AtomicUsize>,
}

impl Runtime for Counting {
    type Job = usize;
    /// The worker's own post, so that its jobs can block.
    type Local = Post;

    fn spawn(&self, pool: &Arc<Pool<Self>>) -> io::Result<()> {
        let pool = Arc::clone(pool);
        loom::thread::spawn(move || {
            let post = Arc::new(Post::default());
            pool.work(&post, &post);
        });
        Ok(())
    }

    fn unheard(&self, error: io::Error, _stranded: Vec<usize>) {
        unreachable!("loom starts every thread: {error}");
    }

    fn run(&self, pool: &Arc<Pool<Self>>, job: usize, post: &Arc<Post>) {
        if job > 1 {
            pool.release_slot(post);
            pool.reserve_again().submit(job - 1, 0);
            pool.retake_slot(post);
        }
        self.ran.fetch_add(1, Ordering::Relaxed);
    }

    fn detached<R: Send>(&self, _local: &Arc<Post>, wait: impl FnOnce() -> R + Send) -> R {
        wait()
    }
}

fn check(target: usize, jobs: &'static [usize], expected: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let ran = Arc::new(AtomicUsize::new(0));
        let pool = Pool::new(Counting { ran: Arc::clone(&ran) }, target, None);
        for job in jobs {
            pool.submit(*job, 0).expect("it is open and unbounded");
        }
        pool.drain();
        assert_eq!(pool.wait_ended(None), Wake::Woken);
        assert_eq!(ran.load(Ordering::Relaxed), expected);
    });
}

#[test]
fn every_job_runs_before_the_end() {
    check(1, &[1, 1], 2);
}

#[test]
fn an_idle_worker_is_woken_for_the_next_job() {
    check(2, &[1, 1], 2);
}

#[test]
fn a_job_promised_by_a_blocked_worker_runs() {
    check(1, &[2], 2);
}
