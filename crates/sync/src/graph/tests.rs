//! Waits of owners that are numbers, for locks whose holders are told by the test.

use super::*;
use crate::waiter::WaitQueue;
use std::sync::Mutex as StdMutex;

/// Something to wait for that is held by those whom the test names.
#[derive(Default)]
struct Held {
    holders: StdMutex<Vec<Owner>>,
    waiters: StdMutex<WaitQueue>,
    exact: bool,
}

impl Held {
    fn by(holders: &[u64]) -> Arc<Self> {
        let holders = holders.iter().map(|&number| Owner::thread(number)).collect();
        Arc::new(Self { holders: StdMutex::new(holders), exact: true, ..Self::default() })
    }
}

impl Waitable for Held {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        self.waiters.lock().expect("no panic").join(waiter);
        false
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        self.waiters.lock().expect("no panic").leave(waiter);
        false
    }

    fn holders(&self, _waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        for holder in &*self.holders.lock().expect("no panic") {
            visit(*holder);
        }
    }

    fn is_exact(&self) -> bool {
        self.exact
    }
}

fn queued(number: u64, held: &Arc<Held>) -> Arc<Waiter> {
    let waiter = Waiter::thread(Owner::thread(number));
    assert!(!held.attempt(&waiter));
    waiter
}

#[derive(Default)]
struct Program {
    graph: Arc<Graph>,
}

impl Program {
    fn wait(&self, number: u64, held: &Arc<Held>) -> Result<Registration, Cycle> {
        self.graph.begin(&queued(number, held), held.clone(), false)
    }

    fn wait_a_while(&self, number: u64, held: &Arc<Held>) -> Result<Registration, Cycle> {
        self.graph.begin(&queued(number, held), held.clone(), true)
    }
}

fn numbers(cycle: &Cycle) -> Vec<u64> {
    cycle.members.iter().map(|member| member.owner.get() >> 3).collect()
}

#[test]
fn the_last_of_a_circle_is_told() {
    let (program, one, two, three) = (Program::default(), Held::by(&[1]), Held::by(&[2]), Held::by(&[3]));
    let first = program.wait(1, &two).expect("2 runs");
    let second = program.wait(2, &three).expect("3 runs");
    let cycle = program.wait(3, &one).expect_err("1 waits for 2, which waits for 3");
    assert_eq!(numbers(&cycle), [3, 1, 2]);
    assert!(!cycle.presumed);
    let wanted: Arc<dyn Waitable> = one;
    assert!(Arc::ptr_eq(&cycle.members[0].waits_for, &wanted));
    drop((first, second));
    assert!(program.graph.snapshot().is_empty());
}

#[test]
fn one_can_wait_for_oneself() {
    let (program, held) = (Program::default(), Held::by(&[1]));
    assert_eq!(numbers(&program.wait(1, &held).expect_err("it holds it")), [1]);
    assert!(program.graph.snapshot().is_empty(), "one who is told is not noted");
}

#[test]
fn one_of_many_holders_is_enough() {
    let (program, readers, one) = (Program::default(), Held::by(&[2, 3, 4]), Held::by(&[1]));
    let _fourth = program.wait(4, &one).expect("1 runs");
    let cycle = program.wait(1, &readers).expect_err("2 and 3 run, but 4 waits for 1");
    assert_eq!(numbers(&cycle), [1, 4]);
}

#[test]
fn one_uncertain_edge_makes_a_suspicion() {
    let (program, one) = (Program::default(), Held::by(&[1]));
    let two = Arc::new(Held { holders: StdMutex::new(vec![Owner::thread(2)]), ..Held::default() });
    let _first = program.wait(1, &two).expect("2 runs");
    assert!(program.wait(2, &one).expect_err("1 waits for 2").presumed);
}

#[test]
fn a_wait_with_a_deadline_closes_no_circle_and_is_in_none() {
    let (program, one, two) = (Program::default(), Held::by(&[1]), Held::by(&[2]));
    let first = program.wait_a_while(1, &two).expect("it ends by itself");
    let second = program.wait(2, &one).expect("1 goes on some time");
    drop((first, second));
    let _first = program.wait(1, &two).expect("2 runs");
    let _second = program.wait_a_while(2, &one).expect("it ends by itself");
}

#[test]
fn one_who_was_granted_what_he_waited_for_is_in_no_circle() {
    let (program, one, two) = (Program::default(), Held::by(&[1]), Held::by(&[2]));
    let first = queued(1, &two);
    let _first = program.graph.begin(&first, two.clone(), false).expect("2 runs");
    let _granted = two.waiters.lock().expect("no panic").grant();
    assert!(first.is_granted());
    let _second = program.wait(2, &one).expect("1 has been given what it waited for");
}

#[test]
fn one_who_was_woken_and_will_find_it_taken_is_in_the_circle() {
    let (program, one, two) = (Program::default(), Held::by(&[1]), Held::by(&[3]));
    let first = queued(1, &two);
    let _first = program.graph.begin(&first, two.clone(), false).expect("3 runs");
    let _woken = two.waiters.lock().expect("no panic").wake();
    *two.holders.lock().expect("no panic") = vec![Owner::thread(2)];
    assert_eq!(numbers(&program.wait(2, &one).expect_err("2 was quicker")), [2, 1]);
}

#[test]
fn a_circle_elsewhere_is_not_told_again() {
    let (program, one, two) = (Program::default(), Held::by(&[1]), Held::by(&[2]));
    let _first = program.wait(1, &two).expect("2 runs");
    let second = queued(2, &one);
    assert!(program.graph.begin(&second, one.clone(), false).is_err());
    let _second = program.graph.insist(&second, one.clone(), false);
    let _third = program.wait(3, &one).expect("3 is in no circle, if stuck behind one");
}

#[test]
fn a_wait_inside_a_wait_gives_its_place_back() {
    let (program, one, two, four) = (Program::default(), Held::by(&[1]), Held::by(&[2]), Held::by(&[4]));
    let outer = program.wait(1, &two).expect("2 runs");
    let inner = program.wait(1, &four).expect("4 runs");
    assert_eq!(program.graph.snapshot().len(), 1);
    drop(inner);
    assert!(program.wait(2, &one).is_err(), "the outer wait is on again");
    drop(outer);
    let _second = program.wait(2, &one).expect("1 runs");
}

#[test]
fn waits_of_one_owner_end_in_any_order() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let (program, helds) = (Program::default(), [2, 3, 4].map(|number| Held::by(&[number])));
        let mut waits = helds.each_ref().map(|held| Some(program.wait(1, held).expect("nobody else waits")));
        for (ended, index) in order.into_iter().enumerate() {
            waits[index] = None;
            let left = (0..3).rev().find(|index| waits[*index].is_some());
            let noted = program.graph.snapshot();
            assert_eq!(noted.len(), usize::from(ended < 2), "{order:?}");
            if let Some(latest) = left {
                let wanted: Arc<dyn Waitable> = helds[latest].clone();
                assert!(Arc::ptr_eq(&noted[0].waits_for, &wanted), "{order:?}");
            }
        }
    }
}

#[test]
fn one_who_is_told_leaves_the_outer_wait_noted() {
    let (program, one, two) = (Program::default(), Held::by(&[1]), Held::by(&[2]));
    let outer = program.wait(1, &two).expect("2 runs");
    assert!(program.wait(1, &one).is_err(), "it waits for itself");
    assert!(program.wait(2, &one).is_err(), "the outer wait stands");
    drop(outer);
    assert!(program.graph.snapshot().is_empty());
}

const NOBODY: Owner = Owner::thread(99);

#[test]
fn all_threads_asleep_is_noticed() {
    let (program, held) = (Program::default(), Held::by(&[9]));
    let waiter = queued(1, &held);
    let _first = program.graph.begin(&waiter, held.clone(), false).expect("9 runs");
    let second = program.wait_a_while(2, &held).expect("9 runs");
    assert_eq!(program.graph.sleepers(NOBODY), 1, "one of them ends by itself");
    drop(second);
    let _second = program.wait(2, &held).expect("9 runs");
    let task = Waiter::thread(Owner::task(8));
    assert!(!held.attempt(&task));
    let _task = program.graph.begin(&task, held.clone(), false).expect("9 runs");
    assert_eq!(program.graph.sleepers(NOBODY), 2, "a task is no thread");
    let _woken = held.waiters.lock().expect("no panic").wake();
    assert_eq!(program.graph.sleepers(NOBODY), 1, "one has been woken");
}

/// A flag that keeps no queue: those who wait for it wake by other means.
#[derive(Default)]
struct Flag(std::sync::atomic::AtomicBool);

impl Waitable for Flag {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        waiter.stand_by();
        self.is_over()
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        waiter.reset();
        false
    }

    fn is_over(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Acquire)
    }
}

#[test]
fn one_whose_wait_is_over_sleeps_no_longer_even_if_its_waiter_does_not_show_it() {
    let (program, flag, held) = (Program::default(), Arc::new(Flag::default()), Held::by(&[1]));
    let waiter = Waiter::thread(Owner::thread(1));
    assert!(!flag.attempt(&waiter));
    let _first = program.graph.begin(&waiter, flag.clone(), false).expect("nobody is in the way");
    let second = program.wait(2, &held).expect("1 waits for nobody in particular");
    assert_eq!(program.graph.sleepers(NOBODY), 2);
    assert!(program.graph.snapshot().iter().all(|wait| wait.asleep));
    flag.0.store(true, std::sync::atomic::Ordering::Release);
    assert_eq!(program.graph.sleepers(NOBODY), 1);
    drop(second);
    assert!(!program.graph.snapshot()[0].asleep);
}
