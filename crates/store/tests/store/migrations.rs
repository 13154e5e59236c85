//! Migrations, and the role a service runs with.

use std::fs;

use diesel::{Connection as _, PgConnection, connection::SimpleConnection as _};
use domain::ListQuery;
use futures_util::future::join_all;
use store::{OutboxKind::Request, Store, StoreError};
use testkit::{TestDatabase, TestServers, unique_name};

use crate::support::{Fixture, draft, migration_folders, number, owner, rows_of, settings, texts};

const TABLES: &str = "SELECT relname::text AS t FROM pg_class WHERE relnamespace = 'public'::regnamespace \
                      AND relkind IN ('r', 'S', 'i', 'v') AND relname !~ '^__diesel' ORDER BY 1";

#[tokio::test(flavor = "multi_thread")]
async fn migrations_started_at_once_are_applied_once() {
    let database = TestDatabase::create().await.unwrap();
    let stores: Vec<_> = (0..5).map(|_| Store::connect(settings(&database.url()))).collect();
    let applied = join_all(stores.iter().map(Store::migrate)).await;
    let names: Vec<_> = applied.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(names, versions());
    stores[0].check().await.unwrap();
}

/// The versions of all migrations, the first one first: the folders' names up to the first `_`, without dashes.
fn versions() -> Vec<String> {
    let folders = migration_folders();
    let names = folders.iter().map(|folder| folder.file_name().unwrap().to_str().unwrap());
    names.map(|name| name.split('_').next().unwrap().replace('-', "")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_fails_until_the_migrations_are_there_and_creates_nothing() {
    let database = TestDatabase::create().await.unwrap();
    let store = Store::connect(settings(&database.url()));
    let missing = store.check().await;
    assert!(
        matches!(&missing, Err(StoreError::Unavailable { reason }) if reason.contains("migrat")),
        "{missing:?}"
    );
    let mut connection = PgConnection::establish(&database.url()).unwrap();
    let tables = "SELECT count(*) AS n FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(number(&mut connection, tables), 0);
    assert_eq!(store.migrate().await.unwrap().len(), versions().len());
    assert!(store.migrate().await.unwrap().is_empty());
    store.check().await.unwrap();
    // A later version may have added to them.
    connection
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')")
        .unwrap();
    store.check().await.unwrap();
    connection.batch_execute("DELETE FROM __diesel_schema_migrations WHERE version LIKE '2026%'").unwrap();
    assert!(matches!(store.check().await, Err(StoreError::Unavailable { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn going_down_leaves_nothing_and_going_up_again_makes_the_same() {
    let database = TestDatabase::create().await.unwrap();
    let store = Store::connect(settings(&database.url()));
    store.migrate().await.unwrap();
    store
        .create_export(rows_of(&draft("Nightly", 2, "2026-01-01T00:00:00Z".parse().unwrap()), &owner("jdoe")))
        .await
        .unwrap();
    let mut connection = PgConnection::establish(&database.url()).unwrap();
    let made = texts(&mut connection, TABLES);
    for folder in migration_folders().iter().rev() {
        connection.batch_execute(&fs::read_to_string(folder.join("down.sql")).unwrap()).unwrap();
    }
    assert!(texts(&mut connection, TABLES).is_empty());
    connection.batch_execute("DELETE FROM __diesel_schema_migrations").unwrap();
    assert_eq!(store.migrate().await.unwrap().len(), versions().len());
    assert_eq!(texts(&mut connection, TABLES), made);
    store.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_runs_with_a_role_that_may_only_change_rows() {
    let fixture = Fixture::new().await;
    let role = unique_name("role").replace('-', "_");
    fixture
        .connection()
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'secret'; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
        ))
        .unwrap();
    let url = fixture.database.url();
    let (_, address) = url.split_once('@').unwrap();
    let store = Store::connect(settings(&format!("postgres://{role}:secret@{address}")));
    let checked = store.check().await;
    let used = use_as(&store, &fixture).await;
    drop(store);
    let server = TestServers::find().unwrap().postgres_url;
    drop(fixture);
    PgConnection::establish(&server).unwrap().batch_execute(&format!("DROP ROLE {role}")).unwrap();
    checked.unwrap();
    used.unwrap();
}

async fn use_as(store: &Store, fixture: &Fixture) -> Result<(), StoreError> {
    let draft = fixture.draft("Nightly", 2);
    store.create_export(rows_of(&draft, &owner("jdoe"))).await?;
    assert_eq!(store.list_exports(owner("jdoe"), ListQuery::default()).await?.count, 1);
    let (token, now) = (domain::ids::LeaseToken::random(), fixture.now());
    let until = now + chrono::TimeDelta::minutes(1);
    assert_eq!(store.lease_records(Request, token, now, until, 10).await?.len(), 2);
    assert_eq!(store.fold_export_counts(10).await?, 1);
    assert!(store.delete_export(owner("jdoe"), draft.id, now).await?);
    assert_eq!(store.release_deleted(now, now, 10).await?, 1);
    Ok(())
}
