//! The applications that are shown as examples, each as a program of its own.

use std::{fs, time::Duration};

use exportctl::verify_source::check::Check;
use testkit::{Process, TestDatabase, binary};

use crate::support::{APPLICATION, Run};

const TABLE: &str = "
    CREATE TABLE items (org text, number int8, name text);
    INSERT INTO items SELECT CASE WHEN n > 900 THEN '2' ELSE '1' END, n, E'a \"name\",\n' || n % 10
    FROM generate_series(1, 1000) n";

const QUERIES: &str = "
    [resources.items]
    query = '''
        SELECT number, name FROM items
        WHERE org = :org_id AND (:most IS NULL OR number <= :most) ORDER BY number
    '''
    filters.most = 'int'";

/// Runs `example` and all checks. Returns those that it does not simply pass; none may fail.
async fn verify(example: &str, resource: &str, filters: &str, further: &[(&str, &str)]) -> Vec<Check> {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    fs::write(&key_file, "a-key-of-its-own\n").unwrap();
    let key_file = key_file.to_str().unwrap();
    let run = Run::new(resource).await;
    let (group, url) = (run.topic.name.clone(), run.url());
    let usual = [
        ("BROKERS", run.topic.brokers.as_str()),
        ("TOPIC", &run.topic.name),
        ("GROUP", &group),
        ("APPLICATION", APPLICATION),
        ("INTERNAL_URL", &url),
        ("KEY_FILE", key_file),
    ];
    let environment =
        usual.iter().chain(further).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment: Vec<_> = environment.collect();
    let log = folder.path().join("log");
    let mut program = Process::start(&binary(example).unwrap(), [""; 0], environment, &log).unwrap();
    let report = run.with(&["--key-file", key_file, "--group", &group, "--filters", filters]).report().await;
    assert!(report.passed(), "{report}\n{}", program.log().unwrap());
    program.terminate(Duration::from_secs(20)).await.unwrap();
    report.not_passed()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_application_is_verified() {
    let others = verify("inventory-source", "packages", r#"{"section": "libs"}"#, &[]).await;
    assert_eq!(others, [Check::Resumable]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_the_demo_application_is_verified_when_its_uploads_are_resumed() {
    let further = [("RESUMABLE", "true")];
    let others = verify("inventory-source", "packages", r#"{"section": "libs"}"#, &further).await;
    assert_eq!(others, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sql_source_is_verified() {
    let database = TestDatabase::create().await.unwrap();
    database.connect().await.unwrap().batch_execute(TABLE).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let queries = folder.path().join("resources.toml");
    fs::write(&queries, QUERIES).unwrap();
    let further = [("RESOURCES", queries.to_str().unwrap()), ("DATABASE_URL", &database.url())];
    let others = verify("sql-source", "items", r#"{"most": 10}"#, &further).await;
    // PostgreSQL ends lines with LF, which is a warning.
    assert_eq!(others, [Check::Csv, Check::Resumable]);
}
