//! Sources that nobody has answered are asked again, with new events, until their tries are used up.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, PgConnection, QueryDsl as _, QueryableByName, RunQueryDsl as _,
    SelectableHelper as _, sql_types,
};
use domain::{
    Record, RequestEvent, Resource, ask_again_at,
    ids::{EventId, ExportId},
};
use uuid::Uuid;

use crate::{
    deadlines::NOT_BEING_ANSWERED,
    error::StoreError,
    locked_export::{LockedExport, try_lock_export},
    outbox_rows::{self, NewRow},
    pool::Store,
    rows::ResourceRow,
    schema::{exports, resources},
};

/// How a source is asked from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) event_id: EventId,
    pub(crate) asked_at: DateTime<Utc>,
    /// This one included.
    pub(crate) tries: i32,
    pub(crate) tries_left: i32,
    pub(crate) ask_again_at: Option<DateTime<Utc>>,
}

impl Question {
    /// Writes it into the row of a source whose export this transaction has locked.
    pub(crate) fn write(self, connection: &mut PgConnection, key: (Uuid, Uuid)) -> Result<(), StoreError> {
        diesel::update(resources::table.find(key))
            .set((
                resources::event_id.eq(self.event_id.as_uuid()),
                resources::requested_at.eq(self.asked_at),
                resources::tries.eq(self.tries),
                resources::tries_left.eq(self.tries_left),
                resources::ask_again_at.eq(self.ask_again_at),
            ))
            .execute(connection)?;
        Ok(())
    }
}

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
}

/// A source to ask again, and how often it was and may be asked.
struct Unanswered {
    resource: Resource,
    deadline_at: DateTime<Utc>,
    tries: i32,
    tries_left: i32,
}

impl Unanswered {
    fn next_ask(&self, now: DateTime<Utc>, tries_left: i32) -> Option<DateTime<Utc>> {
        ask_again_at(now, self.deadline_at, u32::try_from(tries_left).unwrap_or(0))
    }
}

/// Sources whose next try is due. One whose upload is under way is being answered; one past its deadline fails.
fn due() -> String {
    format!("r.status = 'pending' AND r.ask_again_at <= $1 AND r.deadline_at > $1 AND {NOT_BEING_ANSWERED}")
}

impl Store {
    /// Asks up to `limit` sources again whose next try is due at `now`, the longest due first, and the others of
    /// their exports, one transaction for each export: what is asked is in the outbox, or nothing has changed.
    /// `render` makes the record of a new event; None says that it cannot be sent, and the source is left to its
    /// deadline. Returns how many sources were asked. Several callers at once share the work, and ask each source
    /// once: an export that somebody has locked is left to the next call.
    ///
    /// While an export has requests that were not sent yet, its sources have not been asked at
    /// all, and only begin to wait anew.
    ///
    /// # Errors
    /// [`StoreError`]; what was asked before stays asked.
    pub async fn ask_again(
        &self,
        now: DateTime<Utc>,
        limit: u32,
        render: impl Fn(&RequestEvent) -> Option<Record> + Clone + Send + 'static,
    ) -> Result<usize, StoreError> {
        let sql = format!(
            "SELECT DISTINCT export_id AS id FROM (SELECT r.export_id FROM resources r \
             JOIN exports e ON e.id = r.export_id AND e.deleted_at IS NULL \
             WHERE {} AND r.export_id <> ALL($3) ORDER BY r.ask_again_at LIMIT $2) due",
            due()
        );
        self.each_export("ask again", sql, now, limit, move |connection, id| {
            let Some(locked) = try_lock_export(connection, id)? else { return Ok(0) };
            ask_sources_of(connection, &locked, now, &render)
        })
        .await
    }
}

fn ask_sources_of(
    connection: &mut PgConnection,
    locked: &LockedExport,
    now: DateTime<Utc>,
    render: &impl Fn(&RequestEvent) -> Option<Record>,
) -> Result<usize, StoreError> {
    let id = locked.export.id;
    let identity = requester_identity(connection, locked, now)?;
    let waits = outbox_rows::has_unsent_request(connection, id)?;
    let mut requests = Vec::new();
    for source in due_sources(connection, id, now)? {
        let key = (*id.as_uuid(), *source.resource.id.as_uuid());
        let org_id = locked.owner.org_id.clone();
        let event = identity
            .clone()
            .map(|identity| RequestEvent::new(&locked.export, &source.resource, org_id, identity, now));
        let rendered = event.as_ref().and_then(render).zip(event.as_ref().map(|event| event.id));
        let Some((record, event_id)) = rendered else {
            postpone(connection, key, None)?;
            continue;
        };
        if waits {
            postpone(connection, key, source.next_ask(now, source.tries_left))?;
            continue;
        }
        let tries_left = source.tries_left - 1;
        let next = source.next_ask(now, tries_left);
        let question =
            Question { event_id, asked_at: now, tries: source.tries + 1, tries_left, ask_again_at: next };
        question.write(connection, key)?;
        requests.push(NewRow::request(id, record));
    }
    let asked = requests.len();
    outbox_rows::enqueue(connection, requests, now)?;
    Ok(asked)
}

/// With whose identity sources are asked; None when nobody wants their data any more.
fn requester_identity(
    connection: &mut PgConnection,
    locked: &LockedExport,
    now: DateTime<Utc>,
) -> Result<Option<String>, StoreError> {
    if locked.released || locked.export.is_expired(now) {
        return Ok(None);
    }
    let identity = exports::table
        .find(locked.export.id.as_uuid())
        .select(exports::requester_identity)
        .get_result(connection)?;
    Ok(identity)
}

/// In the order of the request.
fn due_sources(
    connection: &mut PgConnection,
    id: ExportId,
    now: DateTime<Utc>,
) -> Result<Vec<Unanswered>, StoreError> {
    let due: Vec<Due> =
        diesel::sql_query(format!("SELECT r.id FROM resources r WHERE r.export_id = $2 AND {}", due()))
            .bind::<sql_types::Timestamptz, _>(now)
            .bind::<sql_types::Uuid, _>(id.as_uuid())
            .load(connection)?;
    let rows = resources::table
        .filter(resources::export_id.eq(id.as_uuid()))
        .filter(resources::id.eq_any(due.into_iter().map(|due| due.id)))
        .order(resources::position)
        .select((ResourceRow::as_select(), resources::deadline_at, resources::tries, resources::tries_left))
        .load::<(ResourceRow, DateTime<Utc>, i32, i32)>(connection)?;
    rows.into_iter()
        .map(|(row, deadline_at, tries, tries_left)| {
            Ok(Unanswered { resource: row.try_into()?, deadline_at, tries, tries_left })
        })
        .collect()
}

fn postpone(
    connection: &mut PgConnection,
    key: (Uuid, Uuid),
    until: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    diesel::update(resources::table.find(key)).set(resources::ask_again_at.eq(until)).execute(connection)?;
    Ok(())
}
