//! Worker processes, as Python sees them: the parent's pool, and the loop of a worker.
//!
//! | module | what it is |
//! |---|---|
//! | [`pool`] | `ProcessPool`, the native half of `ProcessPoolExecutor` |
//! | [`batches`] | a map: items that travel in batches |
//! | [`client`] | what the pool of the crate below needs to know: futures, their ends |
//! | [`codec`] | pickles: the fast way in and out, and when the slow one is needed |
//! | [`end`] | waiting for the end of an executor without keeping it |
//! | [`errands`] | what needs the interpreter after a task has ended |
//! | [`functions`] | which functions workers have been told |
//! | [`deaths`] | the exceptions that tell of a worker's death, and of what else breaks the stdlib's pools |
//! | [`lending`] | a worker that waits for another one gives its place away |
//! | [`letters`] | outcomes, until somebody asks for them |
//! | [`share`] | objects that are put into shared memory once |
//! | [`spec`] | how workers are started, as Python says it |
//! | [`zygote`] | what the process that forks workers needs of the system |
//! | [`serve`] | what a worker does all its life |

pub(crate) mod batches;
pub(crate) mod client;
pub(crate) mod codec;
pub(crate) mod deaths;
pub(crate) mod end;
pub(crate) mod errands;
pub(crate) mod functions;
pub(crate) mod lending;
pub(crate) mod letters;
pub(crate) mod pool;
pub(crate) mod serve;
pub(crate) mod share;
pub(crate) mod spec;
pub(crate) mod zygote;
