//! A customer deletes an export: from here on it does not exist.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, RunQueryDsl as _};
use domain::{Owner, ids::ExportId};

use crate::{
    count,
    error::StoreError,
    outbox,
    pool::Store,
    schema::{exports, owners},
};

impl Store {
    /// Deletes the export `id` of `owner` and cancels its unsent records. False where there is none. Its
    /// objects follow after the grace for running downloads (`release_deleted`).
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
                .execute(connection)?;
            if deleted == 0 {
                return Ok(false);
            }
            count::add(connection, owner_id, -1)?;
            outbox::cancel(connection, &[id.into()])?;
            Ok(true)
        })
        .await
    }
}
