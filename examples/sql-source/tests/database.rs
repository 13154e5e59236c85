//! Queries on a real database.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use export_source::{Format, Refusal, Request};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use sql_source::{database::Database, resources::Resources};
use testkit::{FaultProxy, TestDatabase, poll_until};

const TABLES: &str = r#"
    CREATE TABLE items (org text, number int8, name text, made timestamptz, fresh bool, doc json);
    INSERT INTO items VALUES
        ('7', 1, 'plain', '2026-01-01T00:00:00Z', true, '{"a": 1}'),
        ('7', 2, E'tab\t "quote" back\\slash, new\nline é', '2026-02-01T00:00:00Z', false, E'{\n "b":\t"\\\\n"}'),
        ('7', 3, NULL, '2026-03-01T00:00:00Z', NULL, NULL),
        ('8', 4, 'of others', '2026-04-01T00:00:00Z', true, NULL);
"#;

const RESOURCES: &str = "
    [resources.items]
    query = '''
        SELECT number, name, doc FROM items -- :not_a_filter
        WHERE org = :org_id AND (:name IS NULL OR name = :name) AND (:number IS NULL OR number = :number)
          AND (:fresh IS NULL OR fresh = :fresh) AND (:since IS NULL OR made >= :since)
        ORDER BY number;
    '''
    filters = { name = 'text', number = 'int', fresh = 'bool', since = 'timestamp' }
    [resources.many]
    query = 'SELECT n, repeat($$x$$, 100) AS filler FROM generate_series(1, 200000) n'
    [resources.late_error]
    query = 'SELECT 1 / (1000 - n) FROM generate_series(1, 2000) n'
    [resources.slow]
    query = 'SELECT pg_sleep(60)'
    [resources.writing]
    query = 'DELETE FROM items RETURNING *'
    [resources.echo]
    query = 'SELECT :text AS text, :username AS username'
    filters.text = { type = 'text', required = true }
";

fn request(resource: &str, filters: &Value) -> Request {
    let event = json!({
        "id": "e", "type": "com.redhat.console.export-service.request", "redhatorgid": "7",
        "data": {"resource_request": {
            "uuid": "22222222-2222-4222-8222-222222222222",
            "export_request_uuid": "11111111-1111-4111-8111-111111111111",
            "application": "a", "format": "json", "resource": resource, "x-rh-identity": "e30=",
            "filters": filters}}
    });
    Request::decode(event.to_string().as_bytes()).unwrap()
}

async fn read(
    database: &Database,
    resource: &str,
    filters: &Value,
    format: Format,
) -> Result<String, Refusal> {
    let resources = Resources::parse(RESOURCES).unwrap();
    let resource_of = resources.get(resource)?;
    let bound = resource_of.bind(&request(resource, filters))?;
    let chunks: Vec<_> = database.rows(resource_of, &bound, format).await?.try_collect().await?;
    Ok(String::from_utf8(chunks.concat()).unwrap())
}

async fn rows(database: &Database, resource: &str, filters: &Value) -> Result<Value, Refusal> {
    let text = read(database, resource, filters, Format::Json).await?;
    Ok(serde_json::from_str(&text).unwrap())
}

async fn prepared() -> (TestDatabase, Database) {
    let test = TestDatabase::create().await.unwrap();
    test.connect().await.unwrap().batch_execute(TABLES).await.unwrap();
    let database = Database::new(&test.url(), Duration::from_secs(20)).unwrap();
    (test, database)
}

#[tokio::test]
async fn rows_come_out_as_they_are_in_both_formats() {
    let (_test, database) = prepared().await;
    let name = "tab\t \"quote\" back\\slash, new\nline é";
    let expected = json!([
        {"number": 1, "name": "plain", "doc": {"a": 1}},
        {"number": 2, "name": name, "doc": {"b": "\\n"}},
        {"number": 3, "name": null, "doc": null}]);
    assert_eq!(rows(&database, "items", &json!({})).await.unwrap(), expected);
    let csv = read(&database, "items", &json!({"number": 2}), Format::Csv).await.unwrap();
    let line = "2,\"tab\t \"\"quote\"\" back\\slash, new\nline é\",\"{\n \"\"b\"\":\t\"\"\\\\n\"\"}\"\n";
    assert_eq!(csv, format!("number,name,doc\n{line}"));
}

#[tokio::test]
async fn filters_choose_and_missing_ones_do_not() {
    let (_test, database) = prepared().await;
    for (filters, numbers) in [
        (json!({}), vec![1, 2, 3]),
        (json!({"name": null}), vec![1, 2, 3]),
        (json!({"name": "plain"}), vec![1]),
        (json!({"name": ""}), vec![]),
        (json!({"name": "of others"}), vec![]),
        (json!({"fresh": false}), vec![2]),
        (json!({"since": "2026-02-01", "number": 3}), vec![3]),
        (json!({"since": "2026-02-01T00:00:00.000001Z"}), vec![3]),
    ] {
        let rows = rows(&database, "items", &filters).await.unwrap();
        let found: Vec<i64> =
            rows.as_array().unwrap().iter().map(|row| row["number"].as_i64().unwrap()).collect();
        assert_eq!(found, numbers, "{filters}");
    }
    assert_eq!(read(&database, "items", &json!({"number": 9}), Format::Json).await.unwrap(), "[]\n");
    assert_eq!(
        read(&database, "items", &json!({"number": 9}), Format::Csv).await.unwrap(),
        "number,name,doc\n"
    );
}

#[tokio::test]
async fn no_value_is_ever_text_of_a_statement() {
    let (test, database) = prepared().await;
    for text in [
        "'; DROP TABLE items; --",
        "$$ \\ \" '' \u{1} \u{7f}",
        "') TO PROGRAM 'false",
        ":org_id",
        "",
        "=",
        "source.org_id",
        "E'\\x27'",
    ] {
        let echoed = rows(&database, "echo", &json!({"text": text})).await.unwrap();
        assert_eq!(echoed, json!([{"text": text, "username": null}]));
    }
    let count = test.connect().await.unwrap().query_one("SELECT count(*) FROM items", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 4);
}

#[tokio::test]
async fn a_query_can_only_read() {
    let (test, database) = prepared().await;
    let refusal = read(&database, "writing", &json!({}), Format::Csv).await.unwrap_err();
    assert_eq!((refusal.code, refusal.is_temporary()), (500, false));
    let count = test.connect().await.unwrap().query_one("SELECT count(*) FROM items", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 4);
}

#[tokio::test]
async fn what_the_database_says_is_not_for_the_customer() {
    let (_test, database) = prepared().await;
    let refusal = read(&database, "late_error", &json!({}), Format::Json).await.unwrap_err();
    assert_eq!((refusal.code, refusal.message.as_str()), (500, "the data could not be read"));
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_refused() {
    let (test, _) = prepared().await;
    let database = Database::new(&test.url(), Duration::from_millis(200)).unwrap();
    let refusal = read(&database, "slow", &json!({}), Format::Json).await.unwrap_err();
    assert_eq!((refusal.code, refusal.is_temporary()), (504, false));
}

#[tokio::test]
async fn a_database_that_is_away_is_asked_again_later() {
    let proxy = FaultProxy::bind().await.unwrap();
    let url = format!("postgres://nobody@{}/nothing", proxy.address());
    let database = Database::new(&url, Duration::from_secs(1)).unwrap();
    let refusal = read(&database, "many", &json!({}), Format::Csv).await.unwrap_err();
    assert_eq!((refusal.code, refusal.is_temporary()), (503, true));
}

#[tokio::test]
async fn many_rows_come_in_chunks() {
    let (_test, database) = prepared().await;
    let resources = Resources::parse(RESOURCES).unwrap();
    let many = resources.get("many").unwrap();
    let bound = many.bind(&request("many", &json!({}))).unwrap();
    for format in [Format::Csv, Format::Json] {
        let mut chunks = Box::pin(database.rows(many, &bound, format).await.unwrap());
        let (mut bytes, mut largest, mut count) = (0, 0, 0);
        while let Some(chunk) = chunks.try_next().await.unwrap() {
            (bytes, largest, count) = (bytes + chunk.len(), largest.max(chunk.len()), count + 1);
        }
        assert!(bytes > 20_000_000 && largest < 128 * 1024 && count < 1_000, "{bytes} {largest} {count}");
    }
}

#[tokio::test]
async fn a_query_that_nobody_reads_ends() {
    let (test, database) = prepared().await;
    let resources = Resources::parse(RESOURCES).unwrap();
    let many = resources.get("many").unwrap();
    let bound = many.bind(&request("many", &json!({}))).unwrap();
    let mut chunks = Box::pin(database.rows(many, &bound, Format::Csv).await.unwrap());
    assert!(chunks.next().await.unwrap().is_ok());
    drop(chunks);
    let client = test.connect().await.unwrap();
    let ended = poll_until(Duration::from_secs(20), async || {
        let sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sql-source'";
        Ok(client.query(sql, &[]).await?.is_empty().then_some(()))
    });
    ended.await.unwrap();
}

#[tokio::test]
async fn a_query_that_the_database_does_not_take_is_told_before() {
    let (_test, database) = prepared().await;
    let resources = Resources::parse(
        "[resources.good]\nquery = 'SELECT :org_id'\n[resources.bad]\nquery = 'SELECT * FROM nowhere'",
    );
    let resources = resources.unwrap();
    assert!(database.check(resources.get("good").unwrap()).await.is_ok());
    let error = database.check(resources.get("bad").unwrap()).await.unwrap_err();
    assert!(error.code().is_some());
}
