//! How many exports a caller has, exactly, without counting them.
//!
//! Each change adds a row to `export_count_deltas`; the count is the owner's number plus the sum of the
//! deltas, in one snapshot. Deltas are folded into the owner's number now and then.

use diesel::{ExpressionMethods as _, RunQueryDsl as _, sql_types::BigInt};

use crate::{error::StoreError, pool::Store, schema::export_count_deltas};

/// The key of the advisory lock of whoever folds: "fold" in ASCII.
const FOLD_LOCK: i64 = 0x666f_6c64;

impl Store {
    /// Folds up to 20,000 deltas, of up to `owners` owners, and returns how many owners it changed. While
    /// somebody else folds it does nothing. Every count stays exact throughout.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fold_export_counts(&self, owners: usize) -> Result<usize, StoreError> {
        let limit = i64::try_from(owners).unwrap_or(i64::MAX);
        self.statement("fold export counts", move |connection| {
            // One at a time: two would update the same owners, in different orders.
            let folded = diesel::sql_query(
                "WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock($2) AS mine), \
                 due AS (SELECT DISTINCT owner_id FROM \
                         (SELECT owner_id FROM export_count_deltas LIMIT 20000) d LIMIT $1), \
                 gone AS (DELETE FROM export_count_deltas WHERE ctid = ANY (ARRAY( \
                          SELECT ctid FROM export_count_deltas WHERE (SELECT mine FROM turn) \
                          AND owner_id IN (SELECT owner_id FROM due) LIMIT 20000)) RETURNING owner_id, delta) \
                 UPDATE owners SET export_count = export_count + sums.delta \
                 FROM (SELECT owner_id, sum(delta)::bigint AS delta FROM gone GROUP BY owner_id) sums \
                 WHERE owners.id = sums.owner_id",
            )
            .bind::<BigInt, _>(limit)
            .bind::<BigInt, _>(FOLD_LOCK)
            .execute(connection)?;
            Ok(folded)
        })
        .await
    }
}

/// Notes that the owner of an export has `delta` exports more than before.
pub(crate) fn add(
    connection: &mut diesel::PgConnection,
    owner_id: i64,
    delta: i64,
) -> Result<(), StoreError> {
    diesel::insert_into(export_count_deltas::table)
        .values((export_count_deltas::owner_id.eq(owner_id), export_count_deltas::delta.eq(delta)))
        .execute(connection)?;
    Ok(())
}
