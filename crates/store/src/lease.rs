//! Named leases: work that one process at a time does.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, RunQueryDsl as _, query_dsl::methods::FilterDsl as _, upsert::excluded,
};
use domain::ids::LeaseToken;

use crate::{error::StoreError, pool::Store, schema::leases};

impl Store {
    /// Takes the lease `name` until `expires_at`, or renews it when `token` holds it. False when another
    /// token holds it at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_lease(
        &self,
        name: &'static str,
        token: LeaseToken,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.statement("take lease", move |connection| {
            let taken = diesel::insert_into(leases::table)
                .values((
                    leases::name.eq(name),
                    leases::token.eq(token.as_uuid()),
                    leases::expires_at.eq(expires_at),
                ))
                .on_conflict(leases::name)
                .do_update()
                .set((
                    leases::token.eq(excluded(leases::token)),
                    leases::expires_at.eq(excluded(leases::expires_at)),
                ))
                .filter(diesel::BoolExpressionMethods::or(
                    leases::token.eq(token.as_uuid()),
                    leases::expires_at.le(now),
                ))
                .execute(connection)?;
            Ok(taken == 1)
        })
        .await
    }
}
