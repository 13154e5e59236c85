//! Settling a source: its data, or its error, once.

use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, JoinOnDsl as _, OptionalExtension as _, PgConnection,
    QueryDsl as _, RunQueryDsl as _, SelectableHelper as _, dsl::exists,
};
use domain::{
    Answer, ExportFormat, ExportStatus, Resource, ResourceState, Settlement, SourceError, StoredData,
    ids::{AttemptId, ExportId, ResourceId},
};

use crate::{
    error::StoreError,
    follow_answers::follow_answers,
    locked_export::{LockedExport, lock_export},
    pool::Store,
    rows::{ExportRow, ResourceRow},
    schema::{exports, resources},
    uploads,
};

/// What an application is about to answer for.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerTarget {
    /// The export does not exist, was deleted, or has expired.
    NoExport,
    /// The export has no such source.
    NoResource,
    /// The source, and the format its data must have.
    Found {
        /// The source.
        resource: Box<Resource>,
        /// The export's format.
        format: ExportFormat,
    },
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerOutcome {
    /// It settled the source; the export has this status now.
    Settled(ExportStatus),
    /// The same answer was given before; nothing changed.
    Repeated,
    /// Another answer was given before; this one is refused.
    Conflict,
    /// The export is gone.
    NoExport,
    /// The export has no such source.
    NoResource,
    /// The upload was given up because its lease ran out: its bytes may be gone already.
    LeaseLost,
}

impl Store {
    /// What an answer for `resource_id` would settle at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_answer_target(
        &self,
        export_id: ExportId,
        resource_id: ResourceId,
        now: DateTime<Utc>,
    ) -> Result<AnswerTarget, StoreError> {
        self.statement("find answer target", move |connection| {
            let found =
                exports::table
                    .left_join(resources::table.on(
                        resources::export_id.eq(exports::id).and(resources::id.eq(resource_id.as_uuid())),
                    ))
                    .filter(exports::id.eq(export_id.as_uuid()))
                    .filter(exports::deleted_at.is_null())
                    .filter(exports::released_at.is_null())
                    .filter(exports::expires_at.gt(now))
                    .select((ExportRow::as_select(), Option::<ResourceRow>::as_select()))
                    .get_result::<(ExportRow, Option<ResourceRow>)>(connection)
                    .optional()?;
            match found {
                None => Ok(AnswerTarget::NoExport),
                Some((_, None)) => Ok(AnswerTarget::NoResource),
                Some((export, Some(resource))) => {
                    let format = domain::Export::try_from(export)?.format;
                    Ok(AnswerTarget::Found { resource: Box::new(resource.try_into()?), format })
                }
            }
        })
        .await
    }

    /// Settles a source with the data that `attempt` has stored. Whatever the outcome, the attempt is over
    /// and an object that no source points at is handed to `object_deletions`. Repeating a call whose reply
    /// was lost changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; then the attempt goes on until its lease runs out.
    pub async fn answer_with_data(
        &self,
        export_id: ExportId,
        resource_id: ResourceId,
        attempt: AttemptId,
        data: StoredData,
        now: DateTime<Utc>,
    ) -> Result<AnswerOutcome, StoreError> {
        self.tx("answer with data", move |connection| {
            // The export's row first: everybody takes these locks in this order.
            let locked = lock_live_export(connection, export_id, now)?;
            let held = uploads::end(connection, attempt)?;
            let outcome = match locked {
                None => AnswerOutcome::NoExport,
                Some(_) if !held => AnswerOutcome::LeaseLost,
                Some(locked) => settle(connection, &locked, resource_id, Answer::Data(data.clone()), now)?,
            };
            if matches!(outcome, AnswerOutcome::Settled(_)) {
                return Ok(outcome);
            }
            if !held && points_at(connection, (*export_id.as_uuid(), *resource_id.as_uuid()), &data)? {
                return Ok(AnswerOutcome::Repeated);
            }
            // Also after a lost lease: the object may have been stored after it was deleted.
            uploads::delete_object(connection, &data.object_key, now)?;
            Ok(outcome)
        })
        .await
    }

    /// Settles a source with an error.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn answer_with_error(
        &self,
        export_id: ExportId,
        resource_id: ResourceId,
        error: SourceError,
        now: DateTime<Utc>,
    ) -> Result<AnswerOutcome, StoreError> {
        self.tx("answer with error", move |connection| match lock_live_export(connection, export_id, now)? {
            None => Ok(AnswerOutcome::NoExport),
            Some(locked) => settle(connection, &locked, resource_id, Answer::Error(error.clone()), now),
        })
        .await
    }
}

/// Locks an export that takes answers. One that was released takes none, even when the clock of the
/// service that released it is ahead of ours: its objects have been handed over, and a new one would not be.
pub(crate) fn lock_live_export(
    connection: &mut PgConnection,
    id: ExportId,
    now: DateTime<Utc>,
) -> Result<Option<LockedExport>, StoreError> {
    Ok(lock_export(connection, id)?.filter(|locked| !locked.released && !locked.export.is_expired(now)))
}

/// Whether a source has the object of `data`: then an answer with it was given before.
fn points_at(
    connection: &mut PgConnection,
    key: (uuid::Uuid, uuid::Uuid),
    data: &StoredData,
) -> Result<bool, StoreError> {
    let same = resources::table.find(key).filter(resources::object_key.eq(&data.object_key));
    Ok(diesel::select(exists(same)).get_result(connection)?)
}

/// Answers for a source of an export that this transaction has locked.
pub(crate) fn settle(
    connection: &mut PgConnection,
    locked: &LockedExport,
    resource_id: ResourceId,
    answer: Answer,
    now: DateTime<Utc>,
) -> Result<AnswerOutcome, StoreError> {
    let key = (*locked.export.id.as_uuid(), *resource_id.as_uuid());
    let row = resources::table
        .find(key)
        .select(ResourceRow::as_select())
        .get_result::<ResourceRow>(connection)
        .optional()?;
    let Some(row) = row else { return Ok(AnswerOutcome::NoResource) };
    match Resource::try_from(row)?.state.settle(answer) {
        Settlement::Repeats => Ok(AnswerOutcome::Repeated),
        Settlement::Conflicts => Ok(AnswerOutcome::Conflict),
        Settlement::Settles(state) => {
            let settled = write_state(connection, key, &state, now)?;
            Ok(AnswerOutcome::Settled(follow_answers(connection, locked, &[settled], now)?))
        }
    }
}

/// Writes the state of a source whose export this transaction has locked, and returns the source as it is now,
/// for [`follow_answers`].
pub(crate) fn write_state(
    connection: &mut PgConnection,
    key: (uuid::Uuid, uuid::Uuid),
    state: &ResourceState,
    now: DateTime<Utc>,
) -> Result<Resource, StoreError> {
    let (data, error) = match state {
        ResourceState::Pending => (None, None),
        ResourceState::Complete(data) => (Some(data), None),
        ResourceState::Failed(error) => (None, Some(error)),
    };
    let uploaded = data.and_then(|data| data.changed_from.as_ref());
    let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    diesel::update(resources::table.find(key))
        .set((
            resources::status.eq(state.as_str()),
            resources::settled_at.eq(now),
            resources::error_code.eq(error.map(SourceError::code)),
            resources::error_message.eq(error.map(SourceError::message)),
            resources::object_key.eq(data.map(|data| &data.object_key)),
            resources::size_bytes.eq(data.map(|data| bytes(data.size_bytes))),
            resources::stored_bytes.eq(data.map(|data| bytes(data.stored_bytes))),
            resources::crc32.eq(data.map(|data| i64::from(data.crc32))),
            resources::sha256.eq(data.map(|data| data.sha256.as_slice())),
            resources::uploaded_bytes.eq(uploaded.map(|uploaded| bytes(uploaded.size_bytes))),
            resources::uploaded_sha256.eq(uploaded.map(|uploaded| uploaded.sha256.as_slice())),
        ))
        .returning(ResourceRow::as_returning())
        .get_result::<ResourceRow>(connection)?
        .try_into()
}
