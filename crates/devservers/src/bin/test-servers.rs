//! Runs the servers that a test run shares until it is told to stop: `PostgreSQL` (without fsync),
//! Kafka, an S3 server and a maker of `OpenID` issuers.
//!
//! Called by `scripts/test-servers`, which throws away what an earlier run left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use devservers::{
    DataDir, Error, IdentityProvider, Kafka, KafkaOptions, Postgres, PostgresOptions, S3, S3Options,
    TestServers,
};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "Usage: test-servers --data DIR --file FILE [--with-pid PID]

  --data DIR      folder for the servers' data
  --file FILE     where to write their addresses once all are ready; removed at the end
  --with-pid PID  stop when this process ends";

/// Enough for many test programs with a pool each.
const MAX_CONNECTIONS: u32 = 400;

struct Arguments {
    data: PathBuf,
    file: PathBuf,
    with_pid: Option<u32>,
}

fn arguments() -> Option<Arguments> {
    let (mut data, mut file, mut with_pid) = (None, None, None);
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next()?;
        match name.as_str() {
            "--data" => data = Some(PathBuf::from(value)),
            "--file" => file = Some(PathBuf::from(value)),
            "--with-pid" => with_pid = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    Some(Arguments { data: data?, file: file?, with_pid })
}

struct Servers {
    postgres: Postgres,
    kafka: Kafka,
    s3: S3,
    identity_provider: IdentityProvider,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal or the end of the process to live with; the file is gone afterwards.
async fn run(arguments: &Arguments) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let work = serve(arguments);
    let outcome = tokio::select! {
        outcome = work => outcome,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    if let Err(error) = fs::remove_file(&arguments.file)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    outcome
}

async fn serve(arguments: &Arguments) -> io::Result<()> {
    let servers = start(&arguments.data).await.map_err(|error| io::Error::other(error.to_string()))?;
    write_file(&arguments.file, &servers)?;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if arguments.with_pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            return Ok(());
        }
        restart_ended(&servers).await.map_err(|error| io::Error::other(error.to_string()))?;
    }
}

async fn start(data: &Path) -> Result<Servers, Error> {
    let folder = |name: &str| DataDir::At(data.join(name));
    let postgres = Postgres::start(PostgresOptions {
        data: folder("postgres"),
        max_connections: MAX_CONNECTIONS,
        fsync: false,
        ..PostgresOptions::default()
    });
    let kafka = Kafka::start(KafkaOptions { data: folder("kafka"), ..KafkaOptions::default() });
    let s3 = S3::start(S3Options {
        data: folder("s3"),
        bucket: "exports-test".to_owned(),
        ..S3Options::default()
    });
    let identity_provider = IdentityProvider::start(folder("identity-provider"));
    let (postgres, kafka, s3, identity_provider) = tokio::try_join!(postgres, kafka, s3, identity_provider)?;
    Ok(Servers { postgres, kafka, s3, identity_provider })
}

fn write_file(file: &Path, servers: &Servers) -> io::Result<()> {
    let description = TestServers {
        postgres_url: servers.postgres.url(),
        kafka_brokers: servers.kafka.brokers(),
        s3: servers.s3.connection(),
        identity_provider_url: servers.identity_provider.url(),
    };
    let scratch = file.with_extension("json.new");
    fs::write(&scratch, serde_json::to_vec_pretty(&description)?)?;
    fs::rename(scratch, file)
}

/// A test that harms a shared server must not fail all tests after it.
async fn restart_ended(servers: &Servers) -> Result<(), Error> {
    if !servers.postgres.is_running() {
        servers.postgres.restart().await?;
    }
    if !servers.kafka.is_running() {
        servers.kafka.restart().await?;
    }
    if !servers.s3.is_running() {
        servers.s3.restart().await?;
    }
    if !servers.identity_provider.is_running() {
        servers.identity_provider.restart().await?;
    }
    Ok(())
}
