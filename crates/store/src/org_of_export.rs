//! Whose organization's an export is, for those who answer in its name.

use diesel::{ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, RunQueryDsl as _};
use domain::ids::ExportId;

use crate::{
    error::StoreError,
    pool::Store,
    schema::{exports, owners},
};

impl Store {
    /// The organization that owns an export; None when there is no such export.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn org_of_export(&self, id: ExportId) -> Result<Option<String>, StoreError> {
        self.statement("org of export", move |connection| {
            let org_id = exports::table
                .inner_join(owners::table)
                .filter(exports::id.eq(id.as_uuid()))
                .select(owners::org_id)
                .get_result(connection)
                .optional()?;
            Ok(org_id)
        })
        .await
    }
}
