//! A customer has a failed source asked once more (S0-retry): the source is pending again, and its export runs.

use std::fmt;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, OptionalExtension as _, PgConnection, QueryDsl as _, RunQueryDsl as _,
    SelectableHelper as _,
};
use domain::{
    Asking, ExportStatus, Owner, Record, RequestEvent, Resource, ResourceState,
    ids::{EventId, ExportId, ResourceId},
};

use crate::{
    ask_again::Question,
    error::StoreError,
    freeze::load_manifest,
    locked_export::{LockedExport, lock_export},
    outbox_rows::{self, NewRow},
    pool::Store,
    rows::ResourceRow,
    schema::{exports, manifests, resources},
};

/// The source that a customer wants to be asked once more.
#[derive(Clone, PartialEq, Eq)]
pub struct RetrySource {
    /// Who wants it.
    pub owner: Owner,
    /// The export.
    pub export_id: ExportId,
    /// The source.
    pub resource_id: ResourceId,
    /// The header that this was asked with; the source, and all that are asked again, are asked with it.
    pub identity: String,
}

/// Ids only: the rest says who the customer is.
impl fmt::Debug for RetrySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetrySource")
            .field("export_id", &self.export_id)
            .field("resource_id", &self.resource_id)
            .finish_non_exhaustive()
    }
}

/// How a source is asked once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The rendered event.
    pub record: Record,
    /// How long its application has this time, and how often it is asked meanwhile.
    pub asking: Asking,
}

/// What became of a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOutcome<E> {
    /// The source is asked once more.
    Asked,
    /// There is no such export, or it was deleted, or it is somebody else's.
    NoExport,
    /// The export has no such source.
    NoSource,
    /// The export has expired, or the source has ahead of it: nobody could read what was delivered.
    Expired,
    /// The source has not failed.
    NotFailed,
    /// It cannot be asked, for this reason.
    Refused(E),
}

impl Store {
    /// Makes a failed source pending again and its export run, and queues the record of a new event, which `ask`
    /// renders. The manifest goes, and the one that is frozen in the end has the next revision. Nothing else of the
    /// export changes: the data of the other sources stays where it is.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has changed.
    pub async fn retry_source<E>(
        &self,
        source: RetrySource,
        now: DateTime<Utc>,
        ask: impl Fn(&RequestEvent) -> Result<Retry, E> + Send + 'static,
    ) -> Result<RetryOutcome<E>, StoreError>
    where
        E: Send + 'static,
    {
        self.tx("retry source", move |connection| {
            let locked = lock_export(connection, source.export_id)?.filter(|it| it.owner == source.owner);
            let Some(locked) = locked else { return Ok(RetryOutcome::NoExport) };
            if locked.released || locked.export.is_expired(now) {
                return Ok(RetryOutcome::Expired);
            }
            let Some(resource) = load_resource(connection, &source)? else {
                return Ok(RetryOutcome::NoSource);
            };
            if !matches!(resource.state, ResourceState::Failed(_)) {
                return Ok(RetryOutcome::NotFailed);
            }
            if resource.expires_at <= now {
                return Ok(RetryOutcome::Expired);
            }
            let org_id = source.owner.org_id.clone();
            let event = RequestEvent::new(&locked.export, &resource, org_id, source.identity.clone(), now);
            let retry = match ask(&event) {
                Ok(retry) => retry,
                Err(refused) => return Ok(RetryOutcome::Refused(refused)),
            };
            run_again(connection, &locked, &source.identity)?;
            make_pending(connection, &source, event.id, retry.asking, now)?;
            let row = NewRow::request(source.export_id, retry.record);
            outbox_rows::enqueue(connection, vec![row], now)?;
            Ok(RetryOutcome::Asked)
        })
        .await
    }
}

fn load_resource(
    connection: &mut PgConnection,
    source: &RetrySource,
) -> Result<Option<Resource>, StoreError> {
    resources::table
        .find((source.export_id.as_uuid(), source.resource_id.as_uuid()))
        .select(ResourceRow::as_select())
        .get_result::<ResourceRow>(connection)
        .optional()?
        .map(Resource::try_from)
        .transpose()
}

/// An export that runs has no manifest: what it had is not served, and must not be taken for what will be.
fn run_again(connection: &mut PgConnection, locked: &LockedExport, identity: &str) -> Result<(), StoreError> {
    let id = locked.export.id;
    let frozen = load_manifest(connection, id)?.map_or(locked.frozen_revision, |known| known.revision);
    diesel::delete(manifests::table.find(id.as_uuid())).execute(connection)?;
    diesel::update(exports::table.find(id.as_uuid()))
        .set((
            // Also when no other source has settled: it has run before.
            exports::status.eq(ExportStatus::Running.as_str()),
            exports::completed_at.eq(None::<DateTime<Utc>>),
            exports::requester_identity.eq(identity),
            exports::frozen_revision.eq(i32::try_from(frozen).unwrap_or(i32::MAX)),
        ))
        .execute(connection)?;
    Ok(())
}

fn make_pending(
    connection: &mut PgConnection,
    source: &RetrySource,
    event_id: EventId,
    asking: Asking,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let key = (*source.export_id.as_uuid(), *source.resource_id.as_uuid());
    diesel::update(resources::table.find(key))
        .set((
            resources::status.eq(ResourceState::Pending.as_str()),
            resources::settled_at.eq(None::<DateTime<Utc>>),
            resources::error_code.eq(None::<i64>),
            resources::error_message.eq(None::<String>),
            resources::object_released_at.eq(None::<DateTime<Utc>>),
            resources::deadline_at.eq(asking.deadline(now)),
        ))
        .execute(connection)?;
    let question = Question {
        event_id,
        asked_at: now,
        tries: 1,
        tries_left: i32::try_from(asking.tries_left()).unwrap_or(i32::MAX),
        ask_again_at: asking.ask_again_at(now),
    };
    question.write(connection, key)
}
