//! The program behind `scripts/test-servers`.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use devservers::TestServers;

const LIMIT: Duration = Duration::from_mins(2);

fn start(folder: &Path) -> Result<Child> {
    let (data, file) = (folder.join("data"), folder.join("servers.json"));
    let program = env!("CARGO_BIN_EXE_test-servers");
    Ok(Command::new(program).arg("--data").arg(data).arg("--file").arg(file).spawn()?)
}

fn wait_for<T>(mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        if let Some(value) = probe() {
            return Ok(value);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("it did not happen within {LIMIT:?}")
}

/// The addresses that clients connect to.
fn addresses(servers: &TestServers) -> Result<[String; 4]> {
    let after = |url: &str, mark: &str| url.rsplit_once(mark).map(|(_, rest)| rest.to_owned());
    let postgres = after(&servers.postgres_url, "@").context("no address")?;
    let postgres = postgres.split('/').next().unwrap_or_default().to_owned();
    let s3 = after(&servers.s3.endpoint, "//").context("no address")?;
    let issuers = after(&servers.identity_provider_url, "//").context("no address")?;
    Ok([postgres, servers.kafka_brokers.clone(), s3, issuers])
}

#[test]
fn servers_end_with_the_process_that_started_them_even_when_it_is_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut program = start(folder.path())?;
    let file = folder.path().join("servers.json");
    let servers: TestServers =
        wait_for(|| std::fs::read(&file).ok().map(|text| serde_json::from_slice(&text)))??;
    let addresses = addresses(&servers)?;
    for address in &addresses {
        TcpStream::connect(address).with_context(|| address.clone())?;
    }
    program.kill()?;
    program.wait()?;
    for address in &addresses {
        wait_for(|| TcpStream::connect(address).is_err().then_some(()))?;
    }
    Ok(())
}

#[test]
fn arguments_it_does_not_know_are_refused() -> Result<()> {
    let output = Command::new(env!("CARGO_BIN_EXE_test-servers")).args(["--port", "1"]).output()?;
    ensure!(!output.status.success());
    assert!(String::from_utf8(output.stderr)?.contains("Usage"));
    Ok(())
}
