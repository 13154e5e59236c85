//! Keys of applications that are made and withdrawn by command.

use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, OptionalExtension as _, QueryDsl as _,
    RunQueryDsl as _,
};
use domain::{ApplicationName, KeyHash, ids::KeyId, registry::MAX_KEYS};
use uuid::Uuid;

use crate::{
    error::StoreError,
    pool::Store,
    registry::{KeyRow, count_up, lock},
    schema::{application_keys, applications},
};

/// How adding a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddKeyOutcome {
    /// It is live.
    Added(KeyId),
    /// There is no such application.
    NoApplication,
    /// The application has two already: one of them has to be withdrawn first.
    TooManyKeys,
    /// It is somebody's key already.
    Known,
}

impl Store {
    /// Adds a key to those that `application` may call with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_key(
        &self,
        application: ApplicationName,
        hash: KeyHash,
        now: DateTime<Utc>,
    ) -> Result<AddKeyOutcome, StoreError> {
        self.tx("add key", move |connection| {
            lock(connection)?;
            let name = application.as_str();
            let known: Option<String> = applications::table
                .find(name)
                .select(applications::name)
                .get_result(connection)
                .optional()?;
            if known.is_none() {
                return Ok(AddKeyOutcome::NoApplication);
            }
            let theirs = application_keys::table.filter(application_keys::application.eq(name));
            let live: i64 = theirs.count().get_result(connection)?;
            if usize::try_from(live).unwrap_or(usize::MAX) >= MAX_KEYS {
                return Ok(AddKeyOutcome::TooManyKeys);
            }
            let id = KeyId::random();
            let row = KeyRow {
                id: id.into(),
                application: name.to_owned(),
                sha256: hash.as_bytes().to_vec(),
                in_file: false,
                created_at: now,
                last_used_at: None,
            };
            let added = diesel::insert_into(application_keys::table)
                .values(&row)
                .on_conflict_do_nothing()
                .execute(connection)?;
            if added == 0 {
                return Ok(AddKeyOutcome::Known);
            }
            count_up(connection)?;
            Ok(AddKeyOutcome::Added(id))
        })
        .await
    }

    /// Withdraws a key; false when there is none with this id. One that the registry file lists comes back
    /// when the file is applied again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn withdraw_key(&self, id: KeyId) -> Result<bool, StoreError> {
        self.tx("withdraw key", move |connection| {
            lock(connection)?;
            let withdrawn = diesel::delete(application_keys::table.find(id.as_uuid())).execute(connection)?;
            if withdrawn > 0 {
                count_up(connection)?;
            }
            Ok(withdrawn > 0)
        })
        .await
    }

    /// Notes when keys were used last, in the order of their ids. It is no change of the registry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_keys_used(&self, used: Vec<(KeyId, DateTime<Utc>)>) -> Result<(), StoreError> {
        self.tx("note keys used", move |connection| {
            for (id, at) in &used {
                let earlier = application_keys::table.find(Uuid::from(*id)).filter(
                    application_keys::last_used_at.is_null().or(application_keys::last_used_at.lt(at)),
                );
                diesel::update(earlier).set(application_keys::last_used_at.eq(at)).execute(connection)?;
            }
            Ok(())
        })
        .await
    }
}
