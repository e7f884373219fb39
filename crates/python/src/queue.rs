//! What `raddle.queue` is made of: the queue of `raddle-sync` as Python classes.
//!
//! A queue is native until somebody needs it to be Python: a subclass that overrides one of the hooks (`_put` and so on), or
//! code that reaches for the stdlib's attributes (`with q.mutex: q.queue.clear()`). From then on its items stand in the
//! list or deque `q.queue`, and its methods are those of `raddle._internal.hooked` ([`switch`]). Never the other way.
//!
//! Nothing foreign runs and nothing is dropped while a queue's own lock is held, so signal handlers, finalizers and the
//! garbage collector may use the very queue that they interrupt. Comparisons do run foreign code: they have the heap to
//! themselves by a lock of another kind ([`heap`]).
//!
//! | module | what it is |
//! |---|---|
//! | [`base`] | the native half of `Queue`, `LifoQueue` and `PriorityQueue` |
//! | [`core`](self::core) | what the three have in common and what not: trying, and what to wait for |
//! | [`heap`] | a heap whose items are compared by Python |
//! | [`compare`] | comparisons that run no foreign code |
//! | [`paths`] | how an item goes through a heap, decided before anything moves |
//! | [`lists`] | the same for a list of Python's |
//! | [`many`] | several items at once |
//! | [`simple`] | `SimpleQueue` |
//! | [`simple_core`] | the inside of it |
//! | [`short_cuts`] | their short ways |
//! | [`iterate`] | iteration until the shutdown |
//! | [`switch`] | how a native queue becomes Python |
//! | [`arguments`] | `block` and `timeout` |
//! | [`max_size`] | `maxsize` |
//! | [`names`] | what is defined in Python and needed here |

pub(crate) mod arguments;
pub(crate) mod base;
pub(crate) mod compare;
pub(crate) mod core;
pub(crate) mod heap;
pub(crate) mod iterate;
pub(crate) mod lists;
pub(crate) mod many;
pub(crate) mod max_size;
pub(crate) mod names;
pub(crate) mod paths;
pub(crate) mod short_cuts;
pub(crate) mod simple;
pub(crate) mod simple_core;
pub(crate) mod switch;
