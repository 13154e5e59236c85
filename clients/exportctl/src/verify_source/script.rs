//! How the posts of a case are met.

use std::collections::VecDeque;

/// How one post is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// As the platform does.
    Platform,
    /// With this status, and seconds in Retry-After.
    Refuse(u16, Option<u64>),
    /// Read slowly and answered late.
    Slow,
    /// Read to its middle; then the connection is broken.
    Cut,
    /// Read, and answered when the case is released.
    Hold,
}

/// How the posts of one case are met, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    first: VecDeque<Behaviour>,
    then: Behaviour,
    /// Whether an answer is due in time.
    pub(crate) due: bool,
}

impl Script {
    /// As the platform does: an answer is due in time, once.
    pub(crate) fn platform() -> Self {
        Self { due: true, ..Self::first(&[]) }
    }

    /// These, then as the platform does.
    pub(crate) fn first(behaviours: &[Behaviour]) -> Self {
        Self { first: behaviours.iter().copied().collect(), then: Behaviour::Platform, due: false }
    }

    /// Always this.
    pub(crate) fn always(behaviour: Behaviour) -> Self {
        Self { first: VecDeque::new(), then: behaviour, due: false }
    }

    /// How the next post is met.
    pub(crate) fn next(&mut self) -> Behaviour {
        self.first.pop_front().unwrap_or(self.then)
    }
}
