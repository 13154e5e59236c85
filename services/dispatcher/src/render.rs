//! What a row of the outbox is sent as.

use bus::LifecycleEvents;
use domain::Record;
use store::{OutboxKind, OutboxMessage};

use crate::{announcing::Announcer, unsent::Unsent};

/// Makes the records of one kind.
pub(crate) enum Renderer {
    /// Requests are stored as they are sent.
    Requests,
    /// Lifecycle events.
    Lifecycle(Box<LifecycleEvents>),
    /// Announcements, with URLs that are signed now.
    Announcements(Box<Announcer>),
}

impl Renderer {
    /// Of which kind its records are.
    pub(crate) const fn kind(&self) -> OutboxKind {
        match self {
            Self::Requests => OutboxKind::Request,
            Self::Lifecycle(_) => OutboxKind::Lifecycle,
            Self::Announcements(_) => OutboxKind::Announcement,
        }
    }

    /// The record for `message`.
    pub(crate) async fn render(&self, message: OutboxMessage) -> Result<Record, Unsent> {
        match (self, message) {
            (Self::Requests, OutboxMessage::Request(record)) => Ok(record),
            (Self::Lifecycle(events), OutboxMessage::Lifecycle(event)) => {
                events.render(&event).map_err(|error| Unsent::Broken(service::chain(&error)))
            }
            (Self::Announcements(announcer), OutboxMessage::Announcement(announcement)) => {
                announcer.render(&announcement).await
            }
            (_, message) => Err(Unsent::Broken(format!("not a {}: {message:?}", self.kind().as_str()))),
        }
    }
}
