//! What is wrong with something that another process wrote.

use std::fmt;

/// Another process wrote what no healthy one writes; the text says what. Nothing that it wrote is to be trusted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt(pub &'static str);

impl fmt::Display for Corrupt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the memory shared with another process is corrupt: {}", self.0)
    }
}

impl std::error::Error for Corrupt {}
