//! One thread's wake-up token: a wake-up that comes before the wait is kept, two of them count as one.

use crate::wait_word::WaitWord;
use raddle_sys::clock::Moment;
use raddle_sys::futex::Wake;

const EMPTY: u32 = 0;
const NOTIFIED: u32 = 1;

/// Lets one thread sleep until another one calls [`Parker::unpark`].
///
/// ```
/// use raddle_sync::{Parker, Wake};
///
/// let parker = Parker::default();
/// parker.unpark();
/// assert_eq!(parker.park(None), Wake::Woken);
/// ```
#[derive(Debug)]
pub struct Parker {
    token: WaitWord,
}

impl Default for Parker {
    fn default() -> Self {
        Self { token: WaitWord::new(EMPTY) }
    }
}

impl Parker {
    /// Sleeps until the token is there, then takes it. Only one thread at a time may park.
    ///
    /// Returns [`Wake::Woken`] with the token taken, or [`Wake::TimedOut`] or [`Wake::Interrupted`] without it.
    pub fn park(&self, deadline: Option<Moment>) -> Wake {
        crate::linger(|| self.token.load() == NOTIFIED);
        loop {
            if self.token.swap(EMPTY) == NOTIFIED {
                return Wake::Woken;
            }
            match self.token.wait(EMPTY, deadline) {
                Wake::Woken => {}
                // The token may have come together with the deadline or the signal: it must not be lost.
                _ if self.token.swap(EMPTY) == NOTIFIED => return Wake::Woken,
                other => return other,
            }
        }
    }

    /// Puts the token there and wakes the sleeper.
    pub fn unpark(&self) {
        if self.token.swap(NOTIFIED) == EMPTY {
            self.token.wake_one();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn two_tokens_are_one() {
        let parker = Parker::default();
        parker.unpark();
        parker.unpark();
        assert_eq!(parker.park(None), Wake::Woken);
        assert_eq!(parker.park(Some(Moment::now())), Wake::TimedOut);
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::primitives::Arc;

    #[test]
    fn a_wake_up_is_never_lost() {
        loom::model(|| {
            let parker = Arc::new(Parker::default());
            let other = Arc::clone(&parker);
            let waker = loom::thread::spawn(move || other.unpark());
            assert_eq!(parker.park(None), Wake::Woken);
            waker.join().expect("the waker ends");
        });
    }
}
