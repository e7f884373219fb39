//! Why a queue did not do what it was asked for.

use std::fmt;

/// An item that was not put, given back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rejected<T> {
    /// There was no room.
    Full(T),
    /// The queue takes no more items.
    ShutDown(T),
}

/// Why there was no item to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoItem {
    /// There is none at present.
    Empty,
    /// There is none, and there will be none.
    ShutDown,
}

/// The queue takes no more items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutDown;

/// More work was reported as finished than there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl<T> Rejected<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::ShutDown(item) => item,
        }
    }

    /// The same with another item.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Rejected<U> {
        match self {
            Self::Full(item) => Rejected::Full(change(item)),
            Self::ShutDown(item) => Rejected::ShutDown(change(item)),
        }
    }
}

impl<T> fmt::Debug for Rejected<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::ShutDown(_) => "ShutDown(..)",
        })
    }
}

impl<T> fmt::Display for Rejected<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => formatter.write_str("the queue is full"),
            Self::ShutDown(_) => ShutDown.fmt(formatter),
        }
    }
}

impl fmt::Display for NoItem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("the queue is empty"),
            Self::ShutDown => ShutDown.fmt(formatter),
        }
    }
}

impl fmt::Display for ShutDown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the queue has been shut down")
    }
}

impl fmt::Display for TooMany {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("more work was reported as finished than had been put")
    }
}

impl<T> std::error::Error for Rejected<T> {}
impl std::error::Error for NoItem {}
impl std::error::Error for ShutDown {}
impl std::error::Error for TooMany {}
