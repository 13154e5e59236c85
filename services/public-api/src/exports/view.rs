//! What customers see of an export (S0-41, S0-44).

use chrono::{DateTime, Utc};
use domain::{Export, PageLinks, Resource, ResourceState};
use serde::Serialize;
use serde_json::{Map, Value};
use store::{ExportPage, FoundExport};
use utoipa::ToSchema;
use uuid::Uuid;

/// An export with its sources.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusBody {
    #[serde(flatten)]
    export: ExportSummary,
    /// In the order of the request.
    sources: Vec<SourceStatus>,
}

/// An export as a listing shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportSummary {
    id: Uuid,
    created_at: DateTime<Utc>,
    /// When its last source answered; absent while one has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<DateTime<Utc>>,
    /// From this moment on it cannot be downloaded.
    expires_at: DateTime<Utc>,
    name: String,
    /// `json` or `csv`.
    #[schema(pattern = "^(json|csv)$")]
    format: &'static str,
    /// `pending`, `running` (some sources have answered), `partial` (some failed), `complete` or `failed`.
    #[schema(pattern = "^(pending|running|partial|complete|failed)$")]
    status: &'static str,
}

/// A source of an export.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceStatus {
    id: Uuid,
    application: String,
    /// `pending`, `complete` or `failed`.
    #[schema(pattern = "^(pending|complete|failed)$")]
    status: &'static str,
    resource: String,
    /// As they were given; null where there were none.
    #[schema(required = true)]
    filters: Option<Map<String, Value>>,
    /// When its application was asked last.
    asked_at: DateTime<Utc>,
    /// While it is being delivered: how many bytes have come so far, before compression.
    #[serde(skip_serializing_if = "Option::is_none")]
    received_bytes: Option<u64>,
    /// Why it failed, in the words of its application.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The code of the failure; by custom an HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<i64>,
}

/// One page of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListBody {
    meta: ListMeta,
    links: ListLinks,
    data: Vec<ExportSummary>,
}

/// About the listing as a whole.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListMeta {
    /// How many exports match in all.
    count: u64,
}

/// Paths of other pages of the listing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListLinks {
    first: String,
    /// Null on the last page.
    #[schema(required = true)]
    next: Option<String>,
    /// Null on the first page.
    #[schema(required = true)]
    previous: Option<String>,
    last: String,
}

impl From<FoundExport> for StatusBody {
    fn from(found: FoundExport) -> Self {
        let FoundExport { export, resources, received_bytes } = found;
        let status = |resource: Resource| {
            let is_pending = resource.state == ResourceState::Pending;
            let received_bytes = received_bytes.get(&resource.id).copied().filter(|_| is_pending);
            SourceStatus { received_bytes, ..resource.into() }
        };
        Self { export: export.into(), sources: resources.into_iter().map(status).collect() }
    }
}

impl From<Export> for ExportSummary {
    fn from(export: Export) -> Self {
        Self {
            id: export.id.into(),
            created_at: export.created_at,
            completed_at: export.completed_at,
            expires_at: export.expires_at,
            name: export.name,
            format: export.format.as_str(),
            status: export.status.as_str(),
        }
    }
}

impl From<Resource> for SourceStatus {
    fn from(resource: Resource) -> Self {
        let status = resource.state.as_str();
        let (message, error) = match resource.state {
            ResourceState::Failed(error) => (Some(error.message().to_owned()), Some(error.code())),
            ResourceState::Pending | ResourceState::Complete(_) => (None, None),
        };
        Self {
            id: resource.id.into(),
            application: resource.application.into(),
            status,
            resource: resource.resource.into(),
            filters: resource.filters,
            asked_at: resource.asked_at,
            received_bytes: None,
            message,
            error,
        }
    }
}

impl ListBody {
    pub(crate) fn new(page: ExportPage, links: PageLinks) -> Self {
        let PageLinks { first, next, previous, last } = links;
        Self {
            meta: ListMeta { count: page.count },
            links: ListLinks { first, next, previous, last },
            data: page.exports.into_iter().map(Into::into).collect(),
        }
    }
}
