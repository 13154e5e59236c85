//! The registry of source applications: read as a whole, changed as a whole, counted by revisions.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods as _, PgConnection, QueryDsl as _, RunQueryDsl as _, SelectableHelper as _};
use domain::{
    ApplicationName, KeyHash,
    ids::KeyId,
    registry::{Application, Change, MAX_KEYS, Registry, changes},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    error::{StoreError, corrupt},
    pool::Store,
    schema::{application_keys, applications, registry},
};

/// The registry at one moment.
#[derive(Debug, Clone, Default)]
pub struct RegistryRevision {
    /// Larger than that of any registry before.
    pub revision: i64,
    /// The applications, without keys.
    pub registry: Registry,
    /// The keys that are live.
    pub keys: Vec<ApplicationKey>,
}

/// A key with which an application may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationKey {
    /// Its id, by which it is withdrawn.
    pub id: KeyId,
    /// Whose it is.
    pub application: ApplicationName,
    /// Its hash.
    pub hash: KeyHash,
    /// Whether it stands in the registry file.
    pub in_file: bool,
    /// Since when it counts.
    pub created_at: DateTime<Utc>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// How applying a registry ended.
#[derive(Debug, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// The registry is as wanted; what was changed for it.
    Applied(Vec<Change>),
    /// Nothing was changed: this application would have more than two keys.
    TooManyKeys(ApplicationName),
}

#[derive(diesel::Queryable, diesel::Selectable, diesel::Insertable)]
#[diesel(table_name = application_keys)]
pub(crate) struct KeyRow {
    pub(crate) id: Uuid,
    pub(crate) application: String,
    pub(crate) sha256: Vec<u8>,
    pub(crate) in_file: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) last_used_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Which revision the registry has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn registry_revision(&self) -> Result<i64, StoreError> {
        self.statement("registry revision", |connection| {
            Ok(registry::table.select(registry::revision).get_result(connection)?)
        })
        .await
    }

    /// The whole registry, of one snapshot.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn registry(&self) -> Result<RegistryRevision, StoreError> {
        self.tx("registry", |connection| {
            diesel::sql_query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(connection)?;
            read(connection)
        })
        .await
    }

    /// What [`Store::apply_registry`] would change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn registry_changes(&self, wanted: Registry) -> Result<Vec<Change>, StoreError> {
        let current = self.registry().await?;
        Ok(changes(&with_keys(&current, &wanted)?, &wanted))
    }

    /// Makes the registry what the file says, all or nothing. Keys that were made by command stay, those of
    /// applications that are gone go with them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn apply_registry(
        &self,
        wanted: Registry,
        now: DateTime<Utc>,
    ) -> Result<ApplyOutcome, StoreError> {
        self.tx("apply registry", move |connection| {
            lock(connection)?;
            let current = read(connection)?;
            if let Some(name) = over_the_limit(&current, &wanted) {
                return Ok(ApplyOutcome::TooManyKeys(name));
            }
            let found = changes(&with_keys(&current, &wanted)?, &wanted);
            if !found.is_empty() {
                apply(connection, &wanted, now)?;
                count_up(connection)?;
            }
            Ok(ApplyOutcome::Applied(found))
        })
        .await
    }
}

/// An application that would have more than two keys, those that were made by command among them.
fn over_the_limit(current: &RegistryRevision, wanted: &Registry) -> Option<ApplicationName> {
    let too_many = |(name, entry): &(&ApplicationName, &Application)| {
        let by_command = |key: &&ApplicationKey| {
            !key.in_file && key.application == **name && !entry.keys_sha256.contains(&key.hash)
        };
        current.keys.iter().filter(by_command).count() + entry.keys_sha256.len() > MAX_KEYS
    };
    wanted.applications().find(too_many).map(|(name, _)| name.clone())
}

/// One change at a time.
pub(crate) fn lock(connection: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(registry::table.select(registry::revision).for_update().get_result(connection)?)
}

/// Tells the services to read the registry again.
pub(crate) fn count_up(connection: &mut PgConnection) -> Result<(), StoreError> {
    diesel::update(registry::table).set(registry::revision.eq(registry::revision + 1)).execute(connection)?;
    Ok(())
}

fn read(connection: &mut PgConnection) -> Result<RegistryRevision, StoreError> {
    let revision = registry::table.select(registry::revision).get_result(connection)?;
    let documents: Vec<(String, Value)> =
        applications::table.select((applications::name, applications::document)).load(connection)?;
    let keys: Vec<KeyRow> = application_keys::table
        .order((application_keys::application, application_keys::created_at, application_keys::id))
        .select(KeyRow::as_select())
        .load(connection)?;
    let mut entries = BTreeMap::new();
    for (name, document) in documents {
        let application = Application::from_stored(document)
            .map_err(|error| corrupt("applications", "document", &name, error))?;
        let parsed =
            ApplicationName::parse(&name).map_err(|error| corrupt("applications", "name", &name, error))?;
        entries.insert(parsed, application);
    }
    let registry =
        Registry::new(entries).map_err(|error| corrupt("applications", "document", &"all", error))?;
    let keys = keys.into_iter().map(ApplicationKey::try_from).collect::<Result<_, _>>()?;
    Ok(RegistryRevision { revision, registry, keys })
}

/// The registry as a file would have it that is compared with `wanted`: with the keys that came from one, and with
/// those made by command that go with their application.
fn with_keys(current: &RegistryRevision, wanted: &Registry) -> Result<Registry, StoreError> {
    let mut entries: BTreeMap<_, _> =
        current.registry.applications().map(|(name, entry)| (name.clone(), entry.clone())).collect();
    let shown = |key: &&ApplicationKey| key.in_file || wanted.application(&key.application).is_none();
    for key in current.keys.iter().filter(shown) {
        if let Some(entry) = entries.get_mut(&key.application) {
            entry.keys_sha256.push(key.hash.clone());
        }
    }
    Registry::new(entries).map_err(|error| corrupt("application_keys", "sha256", &"all", error))
}

fn apply(connection: &mut PgConnection, wanted: &Registry, now: DateTime<Utc>) -> Result<(), StoreError> {
    let names: Vec<&str> = wanted.applications().map(|(name, _)| name.as_str()).collect();
    diesel::delete(applications::table.filter(applications::name.ne_all(&names))).execute(connection)?;
    let listed: Vec<Vec<u8>> = wanted
        .applications()
        .flat_map(|(_, entry)| entry.keys_sha256.iter().map(|key| key.as_bytes().to_vec()))
        .collect();
    let unlisted = application_keys::table
        .filter(application_keys::in_file)
        .filter(application_keys::sha256.ne_all(&listed));
    diesel::delete(unlisted).execute(connection)?;
    for (name, entry) in wanted.applications() {
        let mut stored = entry.clone();
        let keys = std::mem::take(&mut stored.keys_sha256);
        let document = serde_json::to_value(&stored)
            .map_err(|error| corrupt("applications", "document", name, error))?;
        diesel::insert_into(applications::table)
            .values((applications::name.eq(name.as_str()), applications::document.eq(&document)))
            .on_conflict(applications::name)
            .do_update()
            .set(applications::document.eq(&document))
            .execute(connection)?;
        for key in keys {
            insert_file_key(connection, name, &key, now)?;
        }
    }
    Ok(())
}

/// A key that moved to another application moves here too; one that was made by command is in the file now.
fn insert_file_key(
    connection: &mut PgConnection,
    application: &ApplicationName,
    hash: &KeyHash,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = KeyRow {
        id: KeyId::random().into(),
        application: application.as_str().to_owned(),
        sha256: hash.as_bytes().to_vec(),
        in_file: true,
        created_at: now,
        last_used_at: None,
    };
    diesel::insert_into(application_keys::table)
        .values(&row)
        .on_conflict(application_keys::sha256)
        .do_update()
        .set((application_keys::application.eq(&row.application), application_keys::in_file.eq(true)))
        .execute(connection)?;
    Ok(())
}

impl TryFrom<KeyRow> for ApplicationKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let id = KeyId::from(row.id);
        let hash: [u8; 32] = row.sha256.try_into().map_err(|hash: Vec<u8>| {
            corrupt("application_keys", "sha256", &id, format!("{} bytes", hash.len()))
        })?;
        let application = ApplicationName::parse(&row.application)
            .map_err(|error| corrupt("application_keys", "application", &id, error))?;
        Ok(Self {
            id,
            application,
            hash: KeyHash::from_bytes(hash),
            in_file: row.in_file,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        })
    }
}
