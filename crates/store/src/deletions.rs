//! The queue of objects to delete from object storage.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryableByName, RunQueryDsl as _, sql_types};
use domain::ids::LeaseToken;

use crate::{error::StoreError, pool::Store, schema::object_deletions};

/// An object to delete.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct ObjectDeletion {
    /// Its key.
    #[diesel(sql_type = sql_types::Text)]
    pub object_key: String,
    /// The object store's id of the multipart upload that has to be aborted as well.
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    pub store_upload_id: Option<String>,
    /// How often it was tried, this time included.
    #[diesel(sql_type = sql_types::Integer)]
    pub attempts: i32,
}

impl Store {
    /// Leases up to `limit` objects that are due at `now`, until `lease_expires_at`; those not finished by
    /// then are due again. Several callers at once get different ones.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease_object_deletions(
        &self,
        token: LeaseToken,
        now: DateTime<Utc>,
        lease_expires_at: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<ObjectDeletion>, StoreError> {
        self.statement("lease object deletions", move |connection| {
            let leased = diesel::sql_query(
                "WITH due AS (SELECT object_key FROM object_deletions WHERE due_at <= $1 \
                 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
                 UPDATE object_deletions d SET due_at = $3, lease_token = $4, attempts = attempts + 1 \
                 FROM due WHERE d.object_key = due.object_key \
                 RETURNING d.object_key, d.store_upload_id, d.attempts",
            )
            .bind::<sql_types::Timestamptz, _>(now)
            .bind::<sql_types::BigInt, _>(i64::from(limit))
            .bind::<sql_types::Timestamptz, _>(lease_expires_at)
            .bind::<sql_types::Uuid, _>(token.as_uuid())
            .load(connection)?;
            Ok(leased)
        })
        .await
    }

    /// Takes deleted objects off the queue, as far as they are still leased with `token`. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`]; then they are deleted once more after their lease, which does no harm.
    pub async fn finish_object_deletions(
        &self,
        token: LeaseToken,
        keys: Vec<String>,
    ) -> Result<usize, StoreError> {
        self.statement("finish object deletions", move |connection| {
            let done = object_deletions::table
                .filter(object_deletions::object_key.eq_any(&keys))
                .filter(object_deletions::lease_token.eq(token.as_uuid()));
            Ok(diesel::delete(done).execute(connection)?)
        })
        .await
    }
}
