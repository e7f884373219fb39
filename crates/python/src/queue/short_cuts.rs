//! The short ways of queues: `put(item)` where there is room, `get()` where there is an item, and nobody is to be woken.

use super::base::Queue;
use super::simple::SimpleQueue;
use crate::ffi::short_cut::{Answer, short_cuts};

short_cuts! {
    QueuePut: Queue "put" One => |queue: &Queue, item, _| {
        queue.core.quick_put(item?.clone().unbind()).ok().map(|()| Answer::Nothing)
    };
    QueueGet: Queue "get" Nothing => |queue: &Queue, _, _| queue.core.quick_get().map(Answer::Object);
    SimplePut: SimpleQueue "put" One => |queue: &SimpleQueue, item, _| {
        queue.core.put_alone(item?).then_some(Answer::Nothing)
    };
    SimpleGet: SimpleQueue "get" Nothing => |queue: &SimpleQueue, _, py| queue.core.get_alone(py).map(Answer::Object);
}
