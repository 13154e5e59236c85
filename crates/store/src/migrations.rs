//! Bringing the database to this version's schema.

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl as _,
    migration::{Migration, MigrationSource as _, MigrationVersion},
    pg::Pg,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use crate::{connection::open, error::StoreError, pool::Store};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// The key of the advisory lock that makes two migrations at once take turns: "exports" in ASCII.
const LOCK: i64 = 0x0065_7870_6f72_7473;

/// Why the database could not be migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// It cannot be reached.
    #[error("the database cannot be reached")]
    Connect(#[source] diesel::ConnectionError),
    /// A statement outside the migrations failed.
    #[error("the migration lock failed")]
    Lock(#[source] diesel::result::Error),
    /// A migration failed; what it did was rolled back.
    #[error("a migration failed")]
    Migration(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The process is stopping.
    #[error("interrupted")]
    Interrupted,
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

impl Store {
    /// Applies the migrations that are missing and returns their names, oldest first. Two at once take
    /// turns; the second finds nothing to do.
    ///
    /// # Errors
    /// [`MigrationError`]; what was applied before the failing one stays.
    pub async fn migrate(&self) -> Result<Vec<String>, MigrationError> {
        let settings = std::sync::Arc::clone(&self.settings);
        let migrated = tokio::task::spawn_blocking(move || {
            let mut connection = open(&settings).map_err(MigrationError::Connect)?;
            apply(&mut connection)
        });
        migrated.await.map_err(|_| MigrationError::Interrupted)?
    }
}

fn apply(connection: &mut PgConnection) -> Result<Vec<String>, MigrationError> {
    // Held by the session: closing the connection releases it, whatever happens.
    for sql in ["SET statement_timeout = 0", "SET lock_timeout = 0"] {
        diesel::sql_query(sql).execute(connection).map_err(MigrationError::Lock)?;
    }
    diesel::sql_query("SELECT pg_advisory_lock($1)")
        .bind::<diesel::sql_types::BigInt, _>(LOCK)
        .execute(connection)
        .map_err(MigrationError::Lock)?;
    #[cfg(feature = "failpoints")]
    fail::fail_point!("store::migrating", |_| std::process::abort());
    let applied = connection.run_pending_migrations(MIGRATIONS).map_err(MigrationError::Migration)?;
    #[cfg(feature = "failpoints")]
    fail::fail_point!("store::migrated", |_| std::process::abort());
    Ok(applied.iter().map(ToString::to_string).collect())
}

/// Fails with [`StoreError::Unavailable`] while migrations of this version are missing.
///
/// It does not ask the migration harness, which would create its table where that is missing: a service
/// may run with a role that creates nothing.
pub(crate) fn ensure_applied(connection: &mut PgConnection) -> Result<(), StoreError> {
    let missing = || StoreError::Unavailable { reason: "migrations are missing: run `migrate`".to_owned() };
    let known: Vec<Box<dyn Migration<Pg>>> =
        MIGRATIONS.migrations().map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
    let applied: Vec<Applied> = diesel::sql_query("SELECT version FROM __diesel_schema_migrations")
        .load(connection)
        .map_err(|error| match StoreError::from(error) {
            StoreError::Statement(_) => missing(),
            other => other,
        })?;
    let is_applied =
        |version: &MigrationVersion<'_>| applied.iter().any(|row| row.version == version.to_string());
    if known.iter().all(|migration| is_applied(&migration.name().version())) {
        Ok(())
    } else {
        Err(missing())
    }
}
