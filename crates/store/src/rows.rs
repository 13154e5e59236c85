//! Rows into domain values. A value that this version does not know is an error that names its place.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};
use domain::{CsvOptions, Export, Owner, Resource, ResourceState, SourceError, StoredData, UploadedData};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    error::StoreError,
    schema::{exports, owners, resources},
};

#[derive(Queryable, Selectable)]
#[diesel(table_name = owners, check_for_backend(diesel::pg::Pg))]
pub(crate) struct OwnerRow {
    pub(crate) account: String,
    pub(crate) org_id: String,
    pub(crate) username: String,
}

impl From<OwnerRow> for Owner {
    fn from(row: OwnerRow) -> Self {
        Self { account: row.account, org_id: row.org_id, username: row.username }
    }
}

impl From<Owner> for OwnerRow {
    fn from(owner: Owner) -> Self {
        Self { account: owner.account, org_id: owner.org_id, username: owner.username }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = exports, check_for_backend(diesel::pg::Pg))]
pub(crate) struct ExportRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) format: String,
    pub(crate) status: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) completed_at: Option<DateTime<Utc>>,
}

impl TryFrom<ExportRow> for Export {
    type Error = StoreError;

    fn try_from(row: ExportRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            format: parse(&row.format, "exports", "format", row.id)?,
            status: parse(&row.status, "exports", "status", row.id)?,
            name: row.name,
            created_at: row.created_at,
            completed_at: row.completed_at,
            expires_at: row.expires_at,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = resources, check_for_backend(diesel::pg::Pg))]
pub(crate) struct ResourceRow {
    pub(crate) id: Uuid,
    pub(crate) position: i32,
    pub(crate) application: String,
    pub(crate) resource: String,
    pub(crate) filters: Option<Value>,
    pub(crate) csv_formula_guard: bool,
    pub(crate) csv_bom: bool,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) requested_at: DateTime<Utc>,
    pub(crate) status: String,
    pub(crate) error_code: Option<i64>,
    pub(crate) error_message: Option<String>,
    pub(crate) object_key: Option<String>,
    pub(crate) size_bytes: Option<i64>,
    pub(crate) stored_bytes: Option<i64>,
    pub(crate) crc32: Option<i64>,
    pub(crate) sha256: Option<Vec<u8>>,
    pub(crate) uploaded_bytes: Option<i64>,
    pub(crate) uploaded_sha256: Option<Vec<u8>>,
}

impl ResourceRow {
    fn corrupt(&self, column: &'static str, reason: &str) -> StoreError {
        StoreError::Corrupt {
            table: "resources",
            column,
            row: self.id.to_string(),
            reason: reason.to_owned(),
        }
    }

    fn state(&self) -> Result<ResourceState, StoreError> {
        match self.status.as_str() {
            "pending" => Ok(ResourceState::Pending),
            "failed" => {
                let code = self.error_code.ok_or_else(|| self.corrupt("error_code", "missing"))?;
                let message = self.error_message.as_deref();
                let message = message.ok_or_else(|| self.corrupt("error_message", "missing"))?;
                Ok(ResourceState::Failed(SourceError::new(code, message)))
            }
            "complete" => Ok(ResourceState::Complete(self.stored_data()?)),
            other => Err(self.corrupt("status", other)),
        }
    }

    fn stored_data(&self) -> Result<StoredData, StoreError> {
        Ok(StoredData {
            object_key: self.object_key.clone().ok_or_else(|| self.corrupt("object_key", "missing"))?,
            size_bytes: self.unsigned("size_bytes", self.size_bytes)?,
            stored_bytes: self.unsigned("stored_bytes", self.stored_bytes)?,
            crc32: self.unsigned("crc32", self.crc32)?,
            sha256: self.digest("sha256", self.sha256.as_deref())?,
            changed_from: self.uploaded_data()?,
        })
    }

    /// What was uploaded; None where that is what is stored.
    fn uploaded_data(&self) -> Result<Option<UploadedData>, StoreError> {
        if self.uploaded_sha256.is_none() {
            return Ok(None);
        }
        let size_bytes = self.unsigned("uploaded_bytes", self.uploaded_bytes)?;
        let sha256 = self.digest("uploaded_sha256", self.uploaded_sha256.as_deref())?;
        Ok(Some(UploadedData { size_bytes, sha256 }))
    }

    fn digest(&self, column: &'static str, value: Option<&[u8]>) -> Result<[u8; 32], StoreError> {
        value.unwrap_or_default().try_into().map_err(|_| self.corrupt(column, "not 32 bytes"))
    }

    fn unsigned<T: TryFrom<i64>>(&self, column: &'static str, value: Option<i64>) -> Result<T, StoreError> {
        value
            .and_then(|value| value.try_into().ok())
            .ok_or_else(|| self.corrupt(column, "missing or out of range"))
    }
}

impl TryFrom<ResourceRow> for Resource {
    type Error = StoreError;

    fn try_from(row: ResourceRow) -> Result<Self, StoreError> {
        let state = row.state()?;
        Ok(Self {
            id: row.id.into(),
            application: parse_name(&row.application, "application", row.id)?,
            resource: parse_name(&row.resource, "resource", row.id)?,
            filters: match row.filters {
                None => None,
                Some(Value::Object(filters)) => Some(filters),
                Some(_) => {
                    let (row, reason) = (row.id.to_string(), "not an object".to_owned());
                    return Err(StoreError::Corrupt { table: "resources", column: "filters", row, reason });
                }
            },
            csv: CsvOptions { formula_guard: row.csv_formula_guard, bom: row.csv_bom },
            expires_at: row.expires_at,
            asked_at: row.requested_at,
            state,
        })
    }
}

/// Sorts by place in the request and converts. One query cannot have the rows in order for free: their
/// key is (export, id).
pub(crate) fn ordered(mut rows: Vec<ResourceRow>) -> Result<Vec<Resource>, StoreError> {
    rows.sort_by_key(|row| row.position);
    rows.into_iter().map(Resource::try_from).collect()
}

fn parse<T>(text: &str, table: &'static str, column: &'static str, row: Uuid) -> Result<T, StoreError>
where
    T: FromStr<Err: std::fmt::Display>,
{
    text.parse().map_err(|error: T::Err| StoreError::Corrupt {
        table,
        column,
        row: row.to_string(),
        reason: error.to_string(),
    })
}

fn parse_name<T: TryFrom<String>>(text: &str, column: &'static str, row: Uuid) -> Result<T, StoreError> {
    T::try_from(text.to_owned()).map_err(|_| StoreError::Corrupt {
        table: "resources",
        column,
        row: row.to_string(),
        reason: "not a name".to_owned(),
    })
}
