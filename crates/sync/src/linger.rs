//! A moment awake before a sleep: what one waits for often comes sooner than a sleep and a wake-up would take.
//!
//! Waking a thread whose processor has gone idle takes some twenty microseconds on a virtual machine, several times what
//! the other side of a round trip does meanwhile. So a thread looks again and again for about that long before it sleeps.
//!
//! That helps only while the other side runs on another processor at the same time. Where it does not, because there is no
//! other processor or too much else to do, or where waits are long, the moment is lost. So each thread keeps count: after a
//! miss it sleeps at once the next time, after two in a row the next three times, and so on up to 255. It never yields: a busy
//! machine gives a yielded processor away for milliseconds.

#[cfg(not(loom))]
use raddle_sys::clock::Moment;
#[cfg(not(loom))]
use std::cell::Cell;
#[cfg(not(loom))]
use std::time::Duration;

/// About what a sleep and a wake-up take.
#[cfg(not(loom))]
const A_MOMENT: Duration = Duration::from_micros(25);

/// Looks between two glances at the clock, which cost as much as all of these.
#[cfg(not(loom))]
const LOOKS: u32 = 10;

/// Misses in a row that count.
#[cfg(not(loom))]
const MOST_MISSES: u32 = 8;

#[cfg(not(loom))]
#[derive(Clone, Copy)]
struct Luck {
    /// Misses in a row.
    misses: u32,
    /// How many of the next waits sleep at once.
    skip: u32,
}

#[cfg(not(loom))]
thread_local!(static LUCK: Cell<Luck> = const { Cell::new(Luck { misses: 0, skip: 0 }) });

/// Whether `done` comes to be within a moment, if it is worth the calling thread's while to stay awake for it.
///
/// ```
/// assert!(raddle_sync::linger(|| true));
/// assert!(!raddle_sync::linger(|| false));
/// ```
#[cfg(not(loom))]
pub fn linger(done: impl Fn() -> bool) -> bool {
    if done() {
        return true;
    }
    let Luck { misses, skip } = LUCK.get();
    if skip > 0 {
        LUCK.set(Luck { misses, skip: skip - 1 });
        return false;
    }
    let end = Moment::now() + A_MOMENT;
    let soon = loop {
        let looks = (0..LOOKS).any(|_| {
            std::hint::spin_loop();
            done()
        });
        if looks || Moment::now() > end {
            break looks;
        }
    };
    let misses = if soon { 0 } else { (misses + 1).min(MOST_MISSES) };
    LUCK.set(Luck { misses, skip: (1 << misses) - 1 });
    soon
}

/// A model has no time to pass.
#[cfg(loom)]
pub fn linger(done: impl Fn() -> bool) -> bool {
    done()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_more_often_it_is_in_vain_the_rarer_it_is_tried() {
        let looks = Cell::new(0);
        let mut tried = Vec::new();
        for wait in 0..800 {
            looks.set(0);
            assert!(!linger(|| {
                looks.set(looks.get() + 1);
                false
            }));
            if looks.get() > 1 {
                tried.push(wait);
            }
        }
        assert_eq!(tried, [0, 2, 6, 14, 30, 62, 126, 254, 510, 766]);
    }

    #[test]
    fn once_it_is_worth_it_it_is_tried_each_time() {
        let looks = Cell::new(0);
        let third_look = || {
            looks.set(looks.get() + 1);
            looks.get() % 3 == 0
        };
        assert!((0..10).all(|_| linger(third_look)));
    }
}
