//! What happens to exports and their sources, told to whoever listens: consoles, notifications, billing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    create::ExportDraft,
    export::{Export, ExportFormat, ExportStatus},
    ids::{EventId, ExportId, ResourceId},
    names::{ApplicationName, ResourceName},
    owner::Owner,
    resource::{Resource, ResourceState},
};

/// One change of an export. It holds no identity, no text of the customer and nothing of the data: who may see
/// more asks the API for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleEvent {
    /// Every copy ever sent of this event carries it.
    pub id: EventId,
    /// When the change was written.
    pub time: DateTime<Utc>,
    /// The customer's organization.
    pub org_id: String,
    /// The export.
    pub export_id: ExportId,
    /// What has happened.
    pub change: LifecycleChange,
}

/// What can happen to an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifecycleChange {
    /// It was accepted.
    Accepted(ExportFacts),
    /// All its sources have answered; which of three ends it is follows from its status.
    Ended(ExportFacts),
    /// It has expired, and its data is being deleted.
    Expired(ExportFacts),
    /// Its customer has deleted it.
    Deleted(ExportFacts),
    /// A source has delivered its data.
    SourceCompleted {
        /// Which one.
        source: SourceFacts,
        /// Length of the data, in bytes.
        size_bytes: u64,
        /// Length of the gzip objects that hold it, in bytes.
        stored_bytes: u64,
    },
    /// A source will deliver nothing.
    SourceFailed {
        /// Which one.
        source: SourceFacts,
        /// The code of its error, by custom an HTTP status.
        error_code: i64,
    },
}

/// An export at the moment of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportFacts {
    /// The format of its files.
    pub format: ExportFormat,
    /// The status it has, or had last.
    pub status: ExportStatus,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
    /// Its sources by how they have ended, where that is part of the news.
    pub sources: Option<SourceCounts>,
}

/// How many sources there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCounts {
    /// All of them.
    pub total: u64,
    /// Those that have delivered.
    pub complete: u64,
    /// Those that have failed.
    pub failed: u64,
}

/// A source at the moment of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// Its id.
    pub id: ResourceId,
    /// The application that was asked.
    pub application: ApplicationName,
    /// What was asked of it.
    pub resource: ResourceName,
}

impl LifecycleEvent {
    fn new(time: DateTime<Utc>, owner: &Owner, export_id: ExportId, change: LifecycleChange) -> Self {
        Self { id: EventId::random(), time, org_id: owner.org_id.clone(), export_id, change }
    }

    /// An export was accepted.
    pub fn accepted(draft: &ExportDraft, owner: &Owner) -> Self {
        let facts = ExportFacts {
            format: draft.format,
            status: ExportStatus::Pending,
            created_at: draft.created_at,
            expires_at: draft.expires_at,
            sources: Some(SourceCounts { total: draft.sources.len() as u64, complete: 0, failed: 0 }),
        };
        Self::new(draft.created_at, owner, draft.id, LifecycleChange::Accepted(facts))
    }

    /// All sources of `export` have answered, which gives it `status`.
    pub fn ended(
        export: &Export,
        owner: &Owner,
        status: ExportStatus,
        sources: SourceCounts,
        time: DateTime<Utc>,
    ) -> Self {
        let facts = ExportFacts { status, sources: Some(sources), ..ExportFacts::of(export) };
        Self::new(time, owner, export.id, LifecycleChange::Ended(facts))
    }

    /// The data of `export` is being deleted because it has expired.
    pub fn expired(export: &Export, owner: &Owner, time: DateTime<Utc>) -> Self {
        Self::new(time, owner, export.id, LifecycleChange::Expired(ExportFacts::of(export)))
    }

    /// The customer has deleted `export`.
    pub fn deleted(export: &Export, owner: &Owner, time: DateTime<Utc>) -> Self {
        Self::new(time, owner, export.id, LifecycleChange::Deleted(ExportFacts::of(export)))
    }

    /// `source` has settled with `state`; None while it is pending.
    pub fn settled(
        export_id: ExportId,
        owner: &Owner,
        source: &Resource,
        state: &ResourceState,
        time: DateTime<Utc>,
    ) -> Option<Self> {
        let facts = || SourceFacts {
            id: source.id,
            application: source.application.clone(),
            resource: source.resource.clone(),
        };
        let change = match state {
            ResourceState::Pending => return None,
            ResourceState::Complete(data) => LifecycleChange::SourceCompleted {
                source: facts(),
                size_bytes: data.size_bytes,
                stored_bytes: data.stored_bytes,
            },
            ResourceState::Failed(error) => {
                LifecycleChange::SourceFailed { source: facts(), error_code: error.code() }
            }
        };
        Some(Self::new(time, owner, export_id, change))
    }
}

impl SourceCounts {
    /// The counts by the wire name of a source's state.
    pub fn of(by_state: &[(String, i64)]) -> Self {
        let count = |state: &str| {
            let counts = by_state.iter().filter(|(name, _)| name == state);
            counts.map(|(_, count)| count.unsigned_abs()).sum()
        };
        let (complete, failed): (u64, u64) = (count("complete"), count("failed"));
        Self { total: count("pending") + complete + failed, complete, failed }
    }

    /// The status of an export with these sources.
    pub const fn status(self) -> ExportStatus {
        let pending = self.total.saturating_sub(self.complete).saturating_sub(self.failed);
        ExportStatus::of(pending, self.complete, self.failed)
    }
}

impl LifecycleChange {
    /// The name of the change, the end of the event's type.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "export.accepted",
            Self::Ended(facts) => match facts.status {
                ExportStatus::Failed => "export.failed",
                ExportStatus::Partial => "export.partial",
                ExportStatus::Pending | ExportStatus::Running | ExportStatus::Complete => "export.completed",
            },
            Self::Expired(_) => "export.expired",
            Self::Deleted(_) => "export.deleted",
            Self::SourceCompleted { .. } => "source.completed",
            Self::SourceFailed { .. } => "source.failed",
        }
    }
}

impl ExportFacts {
    fn of(export: &Export) -> Self {
        Self {
            format: export.format,
            status: export.status,
            created_at: export.created_at,
            expires_at: export.expires_at,
            sources: None,
        }
    }
}
