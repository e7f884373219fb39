//! What happens when the system starts no thread.

use super::*;
use std::sync::Mutex;

/// Another thread finds the queue full while the first worker is being started, which then fails.
#[derive(Default)]
struct Refusing {
    seen: Mutex<Option<u32>>,
}

impl Runtime for Refusing {
    type Job = u32;
    type Local = ();

    fn spawn(&self, pool: &Arc<Pool<Self>>) -> io::Result<()> {
        let Err(Submit::Full(2, seen)) = pool.submit(2, 0) else { panic!("the first job fills the queue") };
        *self.seen.lock().expect("nobody panics") = Some(seen);
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn unheard(&self, _error: io::Error, stranded: Vec<u32>) {
        assert!(stranded.is_empty(), "the job goes back to who submitted it");
    }

    fn run(&self, _pool: &Arc<Pool<Self>>, _job: u32, _local: &Arc<()>) {
        unreachable!("there is no worker");
    }

    fn detached<R: Send>(&self, _local: &Arc<()>, wait: impl FnOnce() -> R + Send) -> R {
        wait()
    }
}

#[test]
fn who_waits_for_room_is_told_when_a_job_leaves_for_want_of_a_worker() {
    let pool = Pool::new(Refusing::default(), 1, Some(1));
    assert!(matches!(pool.submit(1, 0), Err(Submit::NoWorker(1, _))));
    let seen = pool.runtime().seen.lock().expect("nobody panics").take().expect("it was full");
    assert_eq!(pool.wait_for_space(seen, Some(Moment::now())), Wake::Woken);
}
