//! Background work on exports that are due, one transaction for each.

use chrono::{DateTime, Utc};
use diesel::{PgConnection, QueryableByName, RunQueryDsl as _, sql_types};
use domain::ids::ExportId;
use uuid::Uuid;

use crate::{error::StoreError, pool::Store};

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
}

impl Store {
    /// Runs `step` for the exports that `due` selects as `id`, each in a transaction of its own; `$1` is `at`,
    /// `$2` is `limit`, and it leaves out those in `$3`. Returns the sum of what `step` returned.
    ///
    /// An export with a value that cannot be read is passed over: it never keeps the others from their turn,
    /// however many such there are. The first of each call is logged, and how many there were.
    ///
    /// # Errors
    /// [`StoreError`]; what was done for other exports stays done.
    pub(crate) async fn each_export(
        &self,
        name: &'static str,
        due: String,
        at: DateTime<Utc>,
        limit: u32,
        step: impl Fn(&mut PgConnection, ExportId) -> Result<usize, StoreError> + Clone + Send + 'static,
    ) -> Result<usize, StoreError> {
        let (mut changed, mut unreadable) = (0, Vec::new());
        loop {
            let (sql, passed_over) = (due.clone(), unreadable.clone());
            let find = move |connection: &mut PgConnection| {
                let due: Vec<Due> = diesel::sql_query(&sql)
                    .bind::<sql_types::Timestamptz, _>(at)
                    .bind::<sql_types::BigInt, _>(i64::from(limit))
                    .bind::<sql_types::Array<sql_types::Uuid>, _>(&passed_over)
                    .load(connection)?;
                Ok(due)
            };
            let known = unreadable.len();
            for Due { id } in self.statement(name, find).await? {
                let step = step.clone();
                match self.tx(name, move |connection| step(connection, id.into())).await {
                    Ok(done) => changed += done,
                    Err(error @ StoreError::Corrupt { .. }) => {
                        if unreadable.is_empty() {
                            tracing::error!(export.id = %id, work = name, %error, "an export cannot be read");
                        }
                        unreadable.push(id);
                    }
                    Err(error) => return Err(error),
                }
            }
            if changed > 0 || unreadable.len() == known {
                if unreadable.len() > 1 {
                    tracing::error!(work = name, exports = unreadable.len(), "exports were passed over");
                }
                return Ok(changed);
            }
        }
    }
}
