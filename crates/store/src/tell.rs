//! The news of a change, written in its transaction: lifecycle events, and announcements of delivered data.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, PgConnection, QueryDsl as _, QueryableByName, RunQueryDsl as _, sql_types,
};
use domain::{
    Announcement, Export, ExportStatus, LifecycleEvent, Owner, Resource, ResourceState, SourceCounts,
    ids::{EventId, ResourceId},
};
use uuid::Uuid;

use crate::{
    error::StoreError,
    locked_export::LockedExport,
    outbox_rows::{NewRow, enqueue},
    rows::{ExportRow, OwnerRow},
    schema::{exports, resource_pieces},
};

#[derive(QueryableByName)]
struct Announced {
    #[diesel(sql_type = sql_types::Text)]
    name: String,
}

/// Tells of sources that have settled, and announces what they have delivered. To be called before the export
/// ends, because that takes the identity away. Of an export that was released nothing is told: it has expired.
pub(crate) fn of_settled(
    connection: &mut PgConnection,
    locked: &LockedExport,
    settled: &[Resource],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if locked.released || settled.is_empty() {
        return Ok(());
    }
    let further = further_bytes(connection, locked, settled)?;
    let events = settled.iter().filter_map(|source| {
        let state = with_further(&source.state, further.get(&source.id).copied().unwrap_or(0));
        LifecycleEvent::settled(locked.export.id, &locked.owner, source, &state, now)
    });
    let mut rows: Vec<NewRow> = events.map(|event| NewRow::lifecycle(&event)).collect();
    // There is one URL for each object: data in several has none, and is not announced.
    let whole: Vec<&Resource> = settled.iter().filter(|source| !further.contains_key(&source.id)).collect();
    rows.extend(announcements(connection, locked, &whole, now)?.iter().map(NewRow::announcement));
    enqueue(connection, rows, now)
}

/// How many bytes are stored of these sources beside their first object, of those of which that is so.
fn further_bytes(
    connection: &mut PgConnection,
    locked: &LockedExport,
    settled: &[Resource],
) -> Result<BTreeMap<ResourceId, u64>, StoreError> {
    let rows: Vec<(Uuid, i64)> = resource_pieces::table
        .filter(resource_pieces::export_id.eq(locked.export.id.as_uuid()))
        .filter(resource_pieces::resource_id.eq_any(settled.iter().map(|source| source.id.as_uuid())))
        .select((resource_pieces::resource_id, resource_pieces::stored_bytes))
        .load(connection)?;
    let mut further = BTreeMap::new();
    for (resource, stored_bytes) in rows {
        *further.entry(resource.into()).or_insert(0) += stored_bytes.unsigned_abs();
    }
    Ok(further)
}

/// `state`, with the length of all its objects.
fn with_further(state: &ResourceState, further_bytes: u64) -> ResourceState {
    let mut state = state.clone();
    if let ResourceState::Complete(data) = &mut state {
        data.stored_bytes += further_bytes;
    }
    state
}

/// Tells that all sources have answered, which gives the export `status`.
pub(crate) fn of_ended(
    connection: &mut PgConnection,
    locked: &LockedExport,
    status: ExportStatus,
    sources: SourceCounts,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if locked.released {
        return Ok(());
    }
    let event = LifecycleEvent::ended(&locked.export, &locked.owner, status, sources, now);
    enqueue(connection, vec![NewRow::lifecycle(&event)], now)
}

/// Tells of exports that are gone, by `event`. One that this version cannot read goes without a word: it must
/// not keep the others from going.
pub(crate) fn of_gone(
    connection: &mut PgConnection,
    gone: Vec<(ExportRow, OwnerRow)>,
    event: impl Fn(&Export, &Owner, DateTime<Utc>) -> LifecycleEvent,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let rows = gone.into_iter().filter_map(|(export, owner)| match Export::try_from(export) {
        Ok(export) => Some(NewRow::lifecycle(&event(&export, &owner.into(), now))),
        Err(error) => {
            tracing::error!(%error, "an export cannot be read: that it is gone is not told");
            None
        }
    });
    enqueue(connection, rows.collect(), now)
}

/// The announcements of those of `settled` that have delivered, as far as their applications are announced.
fn announcements(
    connection: &mut PgConnection,
    locked: &LockedExport,
    settled: &[&Resource],
    now: DateTime<Utc>,
) -> Result<Vec<Announcement>, StoreError> {
    let delivered: Vec<&Resource> =
        settled.iter().copied().filter(|source| matches!(source.state, ResourceState::Complete(_))).collect();
    let names: Vec<&str> = delivered.iter().map(|source| source.application.as_str()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let announced: Vec<Announced> = diesel::sql_query(
        "SELECT name FROM applications WHERE name = ANY($1) AND document->>'announce' = 'true'",
    )
    .bind::<sql_types::Array<sql_types::Text>, _>(&names)
    .load(connection)?;
    if announced.is_empty() {
        return Ok(Vec::new());
    }
    let identity: Option<String> = exports::table
        .find(locked.export.id.as_uuid())
        .select(exports::requester_identity)
        .get_result(connection)?;
    let Some(identity) = identity else {
        tracing::warn!(export.id = %locked.export.id, "delivered data is not announced: its identity is gone");
        return Ok(Vec::new());
    };
    let announced = |source: &&&Resource| announced.iter().any(|one| one.name == source.application.as_str());
    Ok(delivered
        .iter()
        .filter(announced)
        .filter_map(|source| announcement(locked, source, &identity, now))
        .collect())
}

/// The announcement of a source whose data is one object; None when it has none.
fn announcement(
    locked: &LockedExport,
    source: &Resource,
    identity: &str,
    now: DateTime<Utc>,
) -> Option<Announcement> {
    let ResourceState::Complete(data) = &source.state else { return None };
    Some(Announcement {
        id: EventId::random(),
        time: now,
        export_id: locked.export.id,
        resource_id: source.id,
        application: source.application.clone(),
        resource: source.resource.clone(),
        format: locked.export.format,
        object_key: data.object_key.clone(),
        stored_bytes: data.stored_bytes,
        expires_at: source.expires_at,
        identity: identity.to_owned(),
    })
}
