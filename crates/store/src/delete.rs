//! A customer deletes an export: from here on it does not exist.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, RunQueryDsl as _, SelectableHelper as _,
};
use domain::{LifecycleEvent, Owner, ids::ExportId};

use crate::{
    count,
    error::StoreError,
    outbox_rows,
    pool::Store,
    rows::ExportRow,
    schema::{exports, owners},
    tell,
};

impl Store {
    /// Deletes the export `id` of `owner`, tells so, and cancels its unsent requests and announcements. False
    /// where there is none. Its objects follow after the grace for running downloads (`release_deleted`).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_export(
        &self,
        owner: Owner,
        id: ExportId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.tx("delete export", move |connection| {
            let owner_id = owners::table
                .filter(owners::org_id.eq(&owner.org_id))
                .filter(owners::account.eq(&owner.account))
                .filter(owners::username.eq(&owner.username))
                .select(owners::id)
                .get_result::<i64>(connection)
                .optional()?;
            let Some(owner_id) = owner_id else { return Ok(false) };
            let mine = exports::table
                .filter(exports::id.eq(id.as_uuid()))
                .filter(exports::owner_id.eq(owner_id))
                .filter(exports::deleted_at.is_null());
            let deleted = diesel::update(mine)
                .set((exports::deleted_at.eq(now), exports::requester_identity.eq(None::<String>)))
                .returning(ExportRow::as_returning())
                .get_result::<ExportRow>(connection)
                .optional()?;
            let Some(deleted) = deleted else { return Ok(false) };
            count::add(connection, owner_id, -1)?;
            outbox_rows::cancel(connection, &[id.into()])?;
            tell::of_gone(connection, vec![(deleted, owner.clone().into())], LifecycleEvent::deleted, now)?;
            Ok(true)
        })
        .await
    }
}
