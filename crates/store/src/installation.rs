//! Which object storage belongs to this database.

use diesel::{QueryDsl as _, RunQueryDsl as _};
use domain::ids::InstallationId;
use uuid::Uuid;

use crate::{error::StoreError, pool::Store, schema::installation};

impl Store {
    /// The id of this database, as old as its schema. Its object storage is marked with it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn installation_id(&self) -> Result<InstallationId, StoreError> {
        self.statement("installation id", |connection| {
            let id: Uuid = installation::table.select(installation::id).get_result(connection)?;
            Ok(id.into())
        })
        .await
    }
}
