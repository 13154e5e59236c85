//! The clients of the field, as they are, on connections that break at random places, with two replicas in turn
//! (S0-tus).

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::ByteSize;
use e2e::Export;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::Command,
    time::timeout,
};

use crate::support::{one_export_with, source_status, usual};

/// How long a client may take, on a busy machine.
const CLIENTS_PATIENCE: Duration = Duration::from_mins(3);

/// How many connections break, at most; a client that sends little at a time has more of them.
const MOST_BREAKS: usize = 12;

/// How many must break for a test to tell something.
const LEAST_BREAKS: usize = 3;

/// A connection breaks after so many bytes at least: later than the requests without data are long.
const LEAST: usize = 4096;

/// Leads connections to the replicas in turn, and breaks the first ones of those that carry data.
struct Breaking {
    address: SocketAddr,
    broken: Arc<AtomicUsize>,
}

impl Breaking {
    async fn between(replicas: [SocketAddr; 2], most: usize, seed: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let broken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&broken);
        tokio::spawn(async move {
            for turn in 0.. {
                let Ok((client, _)) = listener.accept().await else { return };
                let random = seed.wrapping_add(turn).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let breaks_after = LEAST + (random >> 24) % most;
                tokio::spawn(lead(client, replicas[turn % 2], breaks_after, Arc::clone(&counted)));
            }
        });
        Self { address, broken }
    }
}

/// Copies both ways, until one side ends or `breaks_after` bytes of the client were passed on.
async fn lead(mut client: TcpStream, replica: SocketAddr, breaks_after: usize, broken: Arc<AtomicUsize>) {
    let Ok(mut replica) = TcpStream::connect(replica).await else { return };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_replica, mut to_replica) = replica.split();
    let upstream = async {
        let (mut buffer, mut passed) = (vec![0; 64 << 10], 0);
        loop {
            let read = from_client.read(&mut buffer).await.unwrap_or(0);
            passed += read;
            if passed >= breaks_after && broken.fetch_add(1, Ordering::Relaxed) < MOST_BREAKS {
                let _ = to_replica.write_all(&buffer[..read.saturating_sub(passed - breaks_after)]).await;
                return;
            }
            if read == 0 || to_replica.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = upstream => {}
        _ = tokio::io::copy(&mut from_replica, &mut to_client) => {}
    }
}

fn rows(bytes: usize) -> String {
    let row = |row: usize| {
        format!("{{\"row\": {row}, \"name\": \"{:x}\"}}\n", row.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    };
    (0..bytes / 40).map(row).collect()
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/clients").join(name)
}

fn tuspy() -> Command {
    let mut command = Command::new(devservers::tus_clients().unwrap().join("python-with-tuspy"));
    command.arg(script("upload.py"));
    command
}

fn tus_js_client() -> Command {
    let mut command = Command::new("node");
    command
        .env("NODE_PATH", devservers::tus_clients().unwrap().join("node_modules"))
        .arg(script("upload.js"));
    command
}

/// Uploads `data` for the first source of an export with `client`, whose last arguments are `options`, and
/// compares what customers get.
async fn upload(client: Command, options: &[&str], data: String, most: usize) {
    let (app, export) = one_export_with(|settings| {
        settings.internal_api.resumable_upload_piece = ByteSize::from_mib(1);
    })
    .await;
    let second = app.second_internal_api().await;
    let second: SocketAddr = second.strip_prefix("http://").unwrap().parse().unwrap();
    let breaking = Breaking::between([app.settings.internal_api.listen, second], most, data.len()).await;
    run(client, options, &export, &breaking, &data).await;
    assert!(breaking.broken.load(Ordering::Relaxed) >= LEAST_BREAKS, "the connections did not break");
    assert_eq!(source_status(&app, &export).await["status"], "complete");
    let delivered = app.download(&export).await.text(&format!("{}.json", export.sources[0].id));
    assert!(delivered == data, "{} bytes of {}", delivered.len(), data.len());
    app.end().await;
}

async fn run(mut client: Command, options: &[&str], export: &Export, breaking: &Breaking, data: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.json");
    std::fs::write(&file, data).unwrap();
    let key = usual().key;
    let url = format!("http://{}/app/export/v1{}/uploads", breaking.address, export.sources[0].path);
    client.args([url.as_str(), key.as_str()]).arg(&file).args(options);
    let running = client.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(CLIENTS_PATIENCE, running).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_tuspy_uploads_over_connections_that_break() {
    upload(tuspy(), &["700000", "plain"], rows(5_000_000), 900_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_tuspy_uploads_all_at_once_over_connections_that_break() {
    upload(tuspy(), &["1000000000", "plain"], rows(8_000_000), 900_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_tuspy_uploads_with_checksums_over_connections_that_break() {
    upload(tuspy(), &["100000", "checksum"], rows(3_000_000), 120_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_tus_js_client_uploads_over_connections_that_break() {
    upload(tus_js_client(), &["700000"], rows(5_000_000), 900_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_tus_js_client_uploads_all_at_once_over_connections_that_break() {
    upload(tus_js_client(), &["0"], rows(8_000_000), 900_000).await;
}
