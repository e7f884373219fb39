//! A pool with workers that are threads of the test: what one says is up to it. For each there is a process, which can be killed.

use super::*;
use crate::channel::{Bell, Message, WorkerSide};
use crate::message::{self, Fields};
use crate::supervisor::{StartWorker, planned_after};
use raddle_sys::pidfd::Pidfd;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Seconds after which something that must happen counts as never happening.
const LONG: Duration = Duration::from_mins(1);
const AN_HOUR: Duration = Duration::from_hours(1);

/// What the client of a test was told of its tasks, which are numbers.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Finished(u64),
    Lost(u64),
    Dropped(u64),
    Abandoned(u64),
}

struct Recorder {
    told: Sender<Told>,
    why: Mutex<String>,
    complaints: Mutex<Vec<String>>,
}

impl Client for Recorder {
    type Task = u64;

    fn order(&self, _name: &str, _number: u64) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        Ok(Default::default())
    }

    fn begin(&self, _task: &u64) -> bool {
        true
    }

    fn put_back(&self, _task: &u64) -> bool {
        true
    }

    fn finished(&self, _pool: &Arc<Pool<Self>>, order: Order<u64>, _reply: Reply) {
        let _ = self.told.send(Told::Finished(order.task));
    }

    fn lost(&self, _pool: &Arc<Pool<Self>>, order: Order<u64>, _death: Arc<Death>) {
        let _ = self.told.send(Told::Lost(order.task));
    }

    fn dropped(&self, task: u64) {
        let _ = self.told.send(Told::Dropped(task));
    }

    fn note(&self, _worker: &str, _kind: u16, _body: Vec<u8>) {}

    fn broken(&self, _error: Vec<u8>) {}

    fn hopeless(&self, _death: Option<Arc<Death>>, why: &str) {
        why.clone_into(&mut self.why.lock());
    }

    fn abandoned(&self, task: u64) {
        let _ = self.told.send(Told::Abandoned(task));
    }

    fn deserted(&self) {}

    fn complain(&self, what: &str) {
        self.complaints.lock().push(what.to_owned());
    }
}

fn pool(
    start: Arc<StartWorker>,
    target: usize,
    max_tasks: Option<u64>,
) -> (Arc<Pool<Recorder>>, Receiver<Told>) {
    let (told, heard) = channel();
    let client = Recorder { told, why: Mutex::default(), complaints: Mutex::default() };
    let settings = Settings {
        name: "test".into(),
        target,
        max_pending: None,
        launch: Launch::Own(start),
        arguments_limit: 1,
        results_limit: 1,
        max_tasks,
        max_memory: None,
        memory_limit: None,
        kill_grace: AN_HOUR,
    };
    (Pool::new(client, settings).expect("there is memory"), heard)
}

fn order(pool: &Pool<Recorder>, timeout: Option<Duration>) -> Order<u64> {
    let number = pool.next_number();
    Order {
        number,
        task: number,
        kind: message::CALL,
        function: None,
        body: Vec::new(),
        parcel: None,
        kept: Vec::new(),
        timeout,
        priority: 0,
    }
}

fn submit(pool: &Arc<Pool<Recorder>>, timeout: Option<Duration>) -> u64 {
    let order = order(pool, timeout);
    let number = order.number;
    pool.submit(order).expect("it is open");
    number
}

fn hear(heard: &Receiver<Told>) -> Told {
    heard.recv_timeout(LONG).expect("the client is told")
}

fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Moment::now() + LONG;
    while !condition() {
        assert!(Moment::now() < deadline, "the condition did not come true");
        WaitWord::new(0).wait(0, Some(Moment::now() + Duration::from_millis(1)));
    }
}

/// A process that stands for a worker's.
fn process() -> io::Result<(u32, Pidfd)> {
    let child = Command::new("sleep").arg("600").process_group(0).spawn()?;
    Ok((child.id(), Pidfd::open(child.id())?))
}

fn attach(fds: &[BorrowedFd<'_>]) -> WorkerSide {
    let [side, bell] = [fds[0], fds[1]].map(|fd| fd.try_clone_to_owned().expect("there are descriptors"));
    WorkerSide::attach(side, Bell::attach(bell).expect("it is one")).expect("it is one")
}

fn say(side: &mut WorkerSide, kind: u16, task: u64, parts: &[&[u8]]) {
    while side.reply(&Message { kind, flags: 0, task, parts }).is_err() {
        side.sleep_for_room(None);
    }
}

fn answer(side: &mut WorkerSide, task: u64) {
    let now = Moment::now().as_nanos();
    let fields = Fields::default().number(now).number(now);
    say(side, message::RESULT, task, &[fields.as_bytes()]);
}

/// Workers that do each task as this says.
fn workers(act: impl Fn(&mut WorkerSide, u64) + Send + Sync + 'static) -> Arc<StartWorker> {
    let act = Arc::new(act);
    Arc::new(move |fds, _, _| {
        let ((pid, pidfd), mut side, act) = (process()?, attach(fds), Arc::clone(&act));
        let own = pidfd.try_clone()?;
        std::thread::spawn(move || {
            let mut body = Vec::new();
            say(&mut side, message::READY, 0, &[]);
            while !own.is_over() {
                match side.next(&mut body) {
                    Some(header) if header.kind == message::CALL => act(&mut side, header.task),
                    Some(header) if header.kind == message::LEAVE => drop(own.kill(9)),
                    Some(_) => {}
                    None => drop(side.sleep(Some(Moment::now() + Duration::from_millis(5)))),
                }
            }
        });
        Ok((pid, pidfd))
    })
}

fn shut_down(pool: &Arc<Pool<Recorder>>) {
    pool.drain();
    assert_eq!(pool.wait_ended(Some(Moment::now() + LONG)), Wake::Woken);
}

#[test]
fn tasks_are_done() {
    let (pool, heard) = pool(workers(answer), 2, None);
    let mut tasks: Vec<_> = (0..100).map(|_| submit(&pool, None)).collect();
    tasks.retain(|_| matches!(hear(&heard), Told::Finished(_)));
    assert_eq!(tasks.len(), 100);
    shut_down(&pool);
}

#[test]
fn what_has_ended_leaves_no_deadline_behind() {
    // Each task has a worker of its own, and all but one of an hour is left when it has ended.
    let (pool, heard) = pool(workers(answer), 1, Some(1));
    let soon = Moment::now() + AN_HOUR / 2;
    for _ in 0..20 {
        submit(&pool, Some(AN_HOUR));
        assert!(matches!(hear(&heard), Told::Finished(_)));
    }
    assert!(planned_after(soon) <= 2, "{}", planned_after(soon));
    // Each is due before the last one.
    for minutes in (0..20).rev() {
        submit(&pool, Some(AN_HOUR + Duration::from_mins(minutes)));
        assert!(matches!(hear(&heard), Told::Finished(_)));
    }
    shut_down(&pool);
    until(|| planned_after(soon) == 0);
}

#[test]
fn a_worker_that_is_corrupt_before_its_process_is_known_is_killed() {
    let known: Arc<Mutex<Option<Arc<Pool<Recorder>>>>> = Arc::default();
    let victim: Arc<Mutex<Option<Pidfd>>> = Arc::default();
    let (theirs, pidfd) = (Arc::clone(&known), Arc::clone(&victim));
    let start: Arc<StartWorker> = Arc::new(move |fds, _, _| {
        let mut pidfd = pidfd.lock();
        if pidfd.is_some() {
            return Err(io::Error::other("one is enough"));
        }
        let (pid, own) = process()?;
        *pidfd = Some(own.try_clone()?);
        drop(pidfd);
        let mut side = attach(fds);
        say(&mut side, message::NOTE - 1, 0, &[]);
        let pool = theirs.lock().clone().expect("it was put there before the first task");
        until(|| {
            pool.collect();
            pool.shared.lock().workers.iter().any(|(_, worker)| worker.corrupt.is_some())
        });
        Ok((pid, own))
    });
    let (pool, heard) = pool(start, 1, None);
    *known.lock() = Some(Arc::clone(&pool));
    submit(&pool, None);
    assert!(matches!(hear(&heard), Told::Abandoned(_)));
    assert!(victim.lock().as_ref().is_some_and(Pidfd::is_over));
    *known.lock() = None;
    shut_down(&pool);
}

#[test]
fn a_task_that_is_withdrawn_makes_way_and_lets_the_pool_end() {
    let gate = Arc::new(WaitWord::new(0));
    let opened = Arc::clone(&gate);
    let (pool, heard) = pool(
        workers(move |side, task| {
            while opened.load() == 0 {
                opened.wait(0, Some(Moment::now() + LONG));
            }
            answer(side, task);
        }),
        1,
        None,
    );
    let first = submit(&pool, None);
    until(|| pool.begun_at(first).is_some());
    // The second one is in the worker's window, the third one is not.
    let (second, third) = (submit(&pool, None), submit(&pool, None));
    assert_eq!((pool.stats().handed, pool.stats().queued), (2, 1));
    assert!(pool.withdraw(second));
    assert_eq!(hear(&heard), Told::Dropped(second));
    assert_eq!((pool.stats().handed, pool.stats().queued), (2, 0));
    pool.drain();
    assert!(pool.withdraw(third));
    assert_eq!(hear(&heard), Told::Dropped(third));
    gate.store(1);
    gate.wake_all();
    assert_eq!(hear(&heard), Told::Finished(first));
    shut_down(&pool);
}

#[test]
fn a_draining_pool_ends_when_its_last_task_is_withdrawn() {
    let gate = Arc::new(WaitWord::new(0));
    let opened = Arc::clone(&gate);
    let start: Arc<StartWorker> = Arc::new(move |fds, _, _| {
        let (mut side, (pid, pidfd), opened) = (attach(fds), process()?, Arc::clone(&opened));
        let own = pidfd.try_clone()?;
        std::thread::spawn(move || {
            say(&mut side, message::READY, 0, &[]);
            // So long it begins nothing.
            until(|| opened.load() == 1);
            let mut body = Vec::new();
            until(|| side.next(&mut body).is_some_and(|header| header.kind == message::LEAVE));
            drop(own.kill(9));
        });
        Ok((pid, pidfd))
    });
    let (pool, heard) = pool(start, 1, None);
    let task = submit(&pool, None);
    until(|| pool.stats().handed == 1);
    pool.drain();
    assert!(pool.withdraw(task));
    assert_eq!(hear(&heard), Told::Dropped(task));
    gate.store(1);
    shut_down(&pool);
}

#[test]
fn a_leader_hears_of_its_deadline_while_messages_keep_coming() {
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let (pool, _heard) = pool(
        workers(move |side, task| {
            while !ended.load(Ordering::Relaxed) {
                say(side, message::NOTE, 0, &[&[0; 100]]);
            }
            answer(side, task);
        }),
        1,
        None,
    );
    submit(&pool, None);
    until(|| pool.stats().busy == 1);
    let drive = |deadline| loop {
        // Another thread may be at it.
        if let Some(woken) = pool.drive(&|| false, deadline) {
            return woken;
        }
        std::thread::yield_now();
    };
    let ends = [
        until_true(|| drive(Some(Moment::now() + Duration::from_millis(1))) == Wake::TimedOut),
        until_true(|| drive(None) == Wake::Interrupted),
    ];
    over.store(true, Ordering::Relaxed);
    assert_eq!(ends, [true, true]);
    shut_down(&pool);
}

fn until_true(mut condition: impl FnMut() -> bool) -> bool {
    (0..1000).any(|_| condition())
}

#[test]
fn a_start_that_fails_is_tried_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let (counted, real) = (Arc::clone(&tries), workers(answer));
    let (pool, heard) = pool(
        Arc::new(move |fds, order, foreign| {
            if counted.fetch_add(1, Ordering::Relaxed) < 3 {
                return Err(io::Error::from_raw_os_error(24));
            }
            real(fds, order, foreign)
        }),
        1,
        None,
    );
    let task = submit(&pool, None);
    assert_eq!(hear(&heard), Told::Finished(task));
    assert_eq!(tries.load(Ordering::Relaxed), 4);
    shut_down(&pool);
}

#[test]
fn starts_that_keep_failing_break_the_pool_and_name_the_limit() {
    let (pool, heard) = pool(Arc::new(|_, _, _| Err(io::Error::from_raw_os_error(24))), 2, None);
    let tasks = [submit(&pool, None), submit(&pool, None)];
    for _ in tasks {
        assert!(matches!(hear(&heard), Told::Abandoned(_)));
    }
    let why = pool.client().why.lock().clone();
    assert!(why.contains("Too many open files") && why.contains("ulimit -n"), "{why}");
    shut_down(&pool);
}

#[test]
fn what_time_does_not_mend_breaks_the_pool_at_once() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let (pool, heard) = pool(
        Arc::new(move |_, _, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            Err(io::ErrorKind::NotFound.into())
        }),
        1,
        None,
    );
    let task = submit(&pool, None);
    assert_eq!(hear(&heard), Told::Abandoned(task));
    assert_eq!(tries.load(Ordering::Relaxed), 1);
    shut_down(&pool);
}
