//! The schema: as committed, and as diesel takes it to be.

use std::{collections::BTreeSet, env, fs, process::Command};

use crate::support::{Fixture, migrated_database};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.sql");

/// The tables as diesel has them.
const DIESEL: &str = include_str!("../../src/schema.rs");

#[tokio::test(flavor = "multi_thread")]
async fn the_committed_schema_is_what_the_migrations_make() {
    let database = migrated_database().await;
    let dump = Command::new("pg_dump")
        .args([
            "--schema-only",
            "--no-owner",
            "--no-privileges",
            "--exclude-table=__diesel_schema_migrations",
        ])
        .arg(format!("--dbname={}", database.url()))
        .output()
        .unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let made = normalised(&String::from_utf8(dump.stdout).unwrap());
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(COMMITTED, &made).unwrap();
    }
    let committed = fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(committed == made, "schema.sql is out of date: run this test with UPDATE_GENERATED=1");
}

/// A dump without what depends on the versions of server and client.
fn normalised(dump: &str) -> String {
    let mut lines = vec!["-- The schema that migrations/ make. Generated; see tests/store/schema.rs."];
    for line in dump.lines().map(str::trim_end) {
        let noise = line.starts_with("--") || line.starts_with("SET ") || line.starts_with('\\');
        if noise || line.starts_with("SELECT pg_catalog.set_config") {
            continue;
        }
        if !(line.is_empty() && lines.last().is_some_and(|last| last.is_empty())) {
            lines.push(line);
        }
    }
    lines.join("\n").trim_end().to_owned() + "\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_has_the_type_that_diesel_takes_it_to_have() {
    let fixture = Fixture::new().await;
    let columns: BTreeSet<String> = fixture
        .texts(
            "SELECT format('%s.%s %s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), \
             CASE WHEN a.attnotnull THEN '' ELSE ' null' END) AS t \
             FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
             WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 \
             AND NOT a.attisdropped AND c.relname !~ '^__diesel'",
        )
        .into_iter()
        .collect();
    assert_eq!(columns, columns_of_diesel());
}

/// The columns in `schema.rs`, each as `table.column type`, with ` null` where it may be null.
fn columns_of_diesel() -> BTreeSet<String> {
    let (mut columns, mut table) = (BTreeSet::new(), "");
    for line in DIESEL.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|(_, rest)| rest.ends_with('{')) {
            table = name;
        }
        if let Some((column, kind)) =
            line.trim_end_matches(',').split_once(" -> ").filter(|_| !line.ends_with(';'))
        {
            let (kind, null) = match kind.strip_prefix("Nullable<") {
                Some(kind) => (kind.trim_end_matches('>'), " null"),
                None => (kind, ""),
            };
            columns.insert(format!("{table}.{column} {}{null}", in_postgres(kind)));
        }
    }
    columns
}

fn in_postgres(kind: &str) -> &'static str {
    match kind {
        "Array<Text>" => "text[]",
        "BigInt" => "bigint",
        "Bool" => "boolean",
        "Binary" => "bytea",
        "Integer" => "integer",
        "Json" => "json",
        "Text" => "text",
        "Timestamptz" => "timestamp with time zone",
        "Uuid" => "uuid",
        other => panic!("{other} has no type in Postgres here"),
    }
}
