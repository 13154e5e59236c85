//! Asking again for what was asked before, with the same events: for a broker that forgets on restart.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, JoinOnDsl as _, NullableExpressionMethods as _,
    QueryDsl as _, RunQueryDsl as _, SelectableHelper as _,
};
use domain::{
    Export, Record, RequestEvent, Resource,
    ids::{ExportId, ResourceId},
};
use uuid::Uuid;

use crate::{
    error::StoreError,
    outbox_rows::{self, NewRow},
    pool::Store,
    rows::{ExportRow, ResourceRow},
    schema::{exports, owners, resources},
};

impl Store {
    /// The events that asked last for sources which have not answered by `now`, after `after` in the order
    /// (export, source), up to `limit`. Rendered again, each is the same event as before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unanswered_requests(
        &self,
        after: Option<(ExportId, ResourceId)>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<RequestEvent>, StoreError> {
        let (export_id, id) =
            after.map_or((Uuid::nil(), Uuid::nil()), |(export, id)| (export.into(), id.into()));
        self.statement("unanswered requests", move |connection| {
            let rows = exports::table
                .inner_join(owners::table)
                .inner_join(resources::table.on(resources::export_id.eq(exports::id)))
                .filter(exports::deleted_at.is_null())
                .filter(exports::expires_at.gt(now))
                .filter(exports::requester_identity.is_not_null())
                .filter(resources::status.eq("pending"))
                // Said for both, so that a page begins where the one before it ended.
                .filter(exports::id.ge(export_id))
                .filter(resources::export_id.ge(export_id))
                .filter(
                    resources::export_id
                        .gt(export_id)
                        .or(resources::export_id.eq(export_id).and(resources::id.gt(id))),
                )
                .order((resources::export_id, resources::id))
                .limit(i64::from(limit))
                .select((
                    ExportRow::as_select(),
                    ResourceRow::as_select(),
                    owners::org_id,
                    exports::requester_identity.assume_not_null(),
                    resources::event_id,
                    resources::requested_at,
                ))
                .load::<(ExportRow, ResourceRow, String, String, Uuid, DateTime<Utc>)>(connection)?;
            rows.into_iter()
                .map(|(export, resource, org_id, identity, event_id, time)| {
                    let (export, resource) = (Export::try_from(export)?, Resource::try_from(resource)?);
                    Ok(RequestEvent {
                        id: event_id.into(),
                        time,
                        export_id: export.id,
                        resource_id: resource.id,
                        org_id,
                        application: resource.application,
                        resource: resource.resource,
                        format: export.format,
                        identity,
                        filters: resource.filters,
                    })
                })
                .collect()
        })
        .await
    }

    /// Queues requests, each with its export, all or nothing. Those whose export is gone meanwhile are left
    /// out: nobody wants them any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enqueue_records(
        &self,
        records: Vec<(ExportId, Record)>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.tx("enqueue records", move |connection| {
            let ids: Vec<Uuid> = records.iter().map(|(export_id, _)| *export_id.as_uuid()).collect();
            // Locked, so that none is deleted, and its unsent records cancelled, before these are there.
            let live: HashSet<Uuid> = exports::table
                .filter(exports::id.eq_any(&ids))
                .filter(exports::deleted_at.is_null())
                .order(exports::id)
                .select(exports::id)
                .for_share()
                .load(connection)?
                .into_iter()
                .collect();
            let wanted = records.iter().filter(|(export_id, _)| live.contains(export_id.as_uuid()));
            let rows = wanted.map(|(export_id, record)| NewRow::request(*export_id, record.clone()));
            outbox_rows::enqueue(connection, rows.collect(), now)
        })
        .await
    }
}
