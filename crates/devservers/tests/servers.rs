//! Starts each server, uses it, kills it and finds everything again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use devservers::{
    DataDir, Error, IdentityProvider, Kafka, KafkaOptions, Postgres, PostgresOptions, S3, S3Options,
};

fn at(folder: &Path) -> DataDir {
    DataDir::At(folder.to_owned())
}

/// Runs SQL with the installed client and returns what it prints.
fn psql(url: &str, sql: &str) -> Result<String> {
    let output =
        Command::new("psql").args([url, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Sends an HTTP request and returns the status line's code and the body.
fn http(address: &str, request: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let code = answer.get(9..12).context("no status line")?.parse()?;
    Ok((code, answer))
}

#[tokio::test]
async fn postgres_keeps_committed_rows_over_a_kill_and_a_new_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = || PostgresOptions { data: at(folder.path()), ..PostgresOptions::default() };
    let postgres = Postgres::start(options()).await?;
    let url = postgres.url();
    psql(&url, "CREATE TABLE kept (n int)")?;
    psql(&url, "INSERT INTO kept VALUES (1)")?;
    postgres.kill()?;
    assert!(!postgres.is_running());
    assert!(psql(&url, "SELECT 1").is_err());
    postgres.restart().await?;
    psql(&url, "INSERT INTO kept VALUES (2)")?;
    postgres.stop().await?;
    drop(postgres);

    let again = Postgres::start(options()).await?;
    assert_eq!(again.url(), url, "port and password are kept");
    assert_eq!(psql(&url, "SELECT sum(n) FROM kept")?, "3");
    assert_eq!(psql(&url, "SHOW fsync")?, "on");
    assert!(matches!(Postgres::start(options()).await, Err(Error::InUse(_))));
    Ok(())
}

#[tokio::test]
async fn postgres_asks_for_a_password_and_takes_settings() -> Result<()> {
    let postgres = Postgres::start(PostgresOptions {
        max_connections: 7,
        fsync: false,
        settings: vec![("work_mem".to_owned(), "5MB".to_owned())],
        ..PostgresOptions::default()
    })
    .await?;
    let port = postgres.port();
    assert!(psql(&format!("postgres://postgres:wrong@127.0.0.1:{port}/postgres"), "SELECT 1").is_err());
    assert_eq!(psql(&postgres.url(), "SHOW max_connections")?, "7");
    assert_eq!(psql(&postgres.url(), "SHOW work_mem")?, "5MB");
    assert_eq!(psql(&postgres.url(), "SHOW fsync")?, "off");
    Ok(())
}

#[tokio::test]
async fn a_paused_postgres_answers_again_when_resumed() -> Result<()> {
    let postgres = Postgres::start(PostgresOptions { fsync: false, ..PostgresOptions::default() }).await?;
    postgres.pause()?;
    let url = postgres.url();
    let begun = Instant::now();
    let waiting = std::thread::spawn(move || psql(&url, "SELECT 1"));
    std::thread::sleep(Duration::from_millis(300));
    assert!(!waiting.is_finished());
    postgres.resume()?;
    assert_eq!(waiting.join().map_err(|_| anyhow::anyhow!("the client panicked"))??, "1");
    assert!(begun.elapsed() >= Duration::from_millis(300));
    Ok(())
}

#[tokio::test]
async fn kafka_serves_again_on_the_same_port_after_a_kill() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = || KafkaOptions { data: at(folder.path()), heap_mib: 256, ..KafkaOptions::default() };
    let kafka = Kafka::start(options()).await?;
    let brokers = kafka.brokers();
    let id = std::fs::read_to_string(folder.path().join("data/meta.properties"))?;
    kafka.kill()?;
    assert!(TcpStream::connect(&brokers).is_err());
    kafka.restart().await?;
    TcpStream::connect(&brokers)?;
    drop(kafka);
    assert!(TcpStream::connect(&brokers).is_err());

    let again = Kafka::start(options()).await?;
    assert_eq!(again.brokers(), brokers);
    assert_eq!(
        std::fs::read_to_string(folder.path().join("data/meta.properties"))?,
        id,
        "not formatted again"
    );
    again.stop().await?;
    Ok(())
}

#[tokio::test]
async fn kafka_names_the_proxy_to_clients_that_come_through_it() -> Result<()> {
    let proxy = "127.0.0.1:9".parse()?;
    let kafka =
        Kafka::start(KafkaOptions { heap_mib: 256, proxy: Some(proxy), ..KafkaOptions::default() }).await?;
    let advertised = |address: &str| -> Result<u16> { advertised_port(address) };
    assert_eq!(
        advertised(&kafka.brokers())?.to_string(),
        kafka.brokers().rsplit(':').next().unwrap_or_default()
    );
    assert_eq!(advertised(&kafka.proxied_port().to_string())?, 9);
    Ok(())
}

/// The port of the first broker that a Metadata request (version 1, no topics) is answered with.
fn advertised_port(address: &str) -> Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(&[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    stream.read_exact(&mut answer)?;
    // Correlation id, number of brokers, node id, host (length and bytes), port.
    let host_bytes = usize::from(u16::from_be_bytes([answer[12], answer[13]]));
    let port = &answer[14 + host_bytes..][..4];
    Ok(u16::try_from(u32::from_be_bytes(port.try_into()?))?)
}

#[tokio::test]
async fn the_s3_server_has_its_bucket_again_after_a_kill_and_checks_keys() -> Result<()> {
    let s3 = S3::start(S3Options { bucket: "three".to_owned(), ..S3Options::default() }).await?;
    let connection = s3.connection();
    let address = connection.endpoint.trim_start_matches("http://").to_owned();
    let anonymous = format!("GET /three?list-type=2 HTTP/1.0\r\nHost: {address}\r\n\r\n");
    assert_eq!(http(&address, &anonymous)?.0, 403);
    put(&connection, "a/b.txt", "hello")?;
    s3.kill()?;
    assert!(TcpStream::connect(&address).is_err());
    s3.restart().await?;
    assert_eq!(s3.connection(), connection);
    assert_eq!(get(&connection, "a/b.txt")?, "hello");
    Ok(())
}

#[tokio::test]
async fn an_identity_provider_makes_issuers_that_tell_their_keys() -> Result<()> {
    let provider = IdentityProvider::start(DataDir::Temporary).await?;
    let address = provider.url().trim_start_matches("http://").to_owned();
    let make = format!("POST /issuers HTTP/1.0\r\nHost: {address}\r\nContent-Length: 2\r\n\r\n{{}}");
    let (status, made) = http(&address, &make)?;
    assert_eq!(status, 200, "{made}");
    let body: serde_json::Value = serde_json::from_str(made.rsplit("\r\n").next().unwrap_or_default())?;
    let id = body["id"].as_str().context("it has an id")?;
    let discovery = format!("GET /{id}/.well-known/openid-configuration HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let (status, said) = http(&address, &discovery)?;
    assert_eq!(status, 200, "{said}");
    assert!(said.contains(&format!("\"jwks_uri\":\"{}/{id}/jwks\"", provider.url())), "{said}");
    provider.kill()?;
    provider.restart().await?;
    assert_eq!(http(&address, &discovery)?.0, 404, "issuers live as long as the process");
    Ok(())
}

/// curl signs S3 requests by itself (`--aws-sigv4`).
fn curl(connection: &devservers::S3Connection, key: &str, more: &[&str]) -> Result<String> {
    let devservers::S3Connection { endpoint, bucket, access_key_id, secret_access_key, region } = connection;
    let output = Command::new("curl")
        .args(["-sS", "--fail-with-body", "--max-time", "10", "--aws-sigv4", &format!("aws:amz:{region}:s3")])
        .args(["-u", &format!("{access_key_id}:{secret_access_key}")])
        .args(more)
        .arg(format!("{endpoint}/{bucket}/{key}"))
        .output()?;
    let body = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{body} {}", String::from_utf8_lossy(&output.stderr));
    Ok(body)
}

fn put(connection: &devservers::S3Connection, key: &str, body: &str) -> Result<String> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(&file, body)?;
    curl(connection, key, &["-T", &file.path().to_string_lossy()])
}

fn get(connection: &devservers::S3Connection, key: &str) -> Result<String> {
    curl(connection, key, &[])
}
