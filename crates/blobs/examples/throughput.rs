//! Measures storing and reading against the S3 server of the tests, beside curl with the same bytes.
//!
//! `cargo run --release -p blobs --example throughput [MIB]` (default 1024). Not a test: nothing is asserted.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use std::{
    convert::Infallible,
    fs::File,
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use archive::zip::Segment;
use blobs::{Blobs, Kind, NoJournal, S3Settings, Settings, object_key};
use bytes::Bytes;
use domain::ids::{AttemptId, ExportId};
use futures_util::{StreamExt, TryStreamExt, stream};
use testkit::{TestBucket, memory};

const MIB: usize = 1 << 20;
/// How an HTTP server hands a body on.
const CHUNK_BYTES: usize = 64 << 10;

#[tokio::main]
async fn main() {
    let mib: usize = std::env::args().nth(1).map_or(1024, |mib| mib.parse().unwrap());
    let bucket = TestBucket::new("throughput").unwrap();
    let blobs = Blobs::connect(&settings(&bucket)).unwrap();
    let sample = sample(32 * MIB);
    let chunks = || (0..mib * MIB / CHUNK_BYTES).map(|chunk| slice(&sample, chunk));

    let key = object_key(ExportId::random(), AttemptId::random());
    memory::reset_peak(std::process::id()).unwrap();
    let before = memory::resident_bytes(std::process::id()).unwrap();
    let begun = Instant::now();
    let body = stream::iter(chunks().map(Ok::<_, Infallible>));
    let stored = blobs.put_gzip(&key, body, u64::MAX, &NoJournal).await.unwrap();
    report("put_gzip", stored.size_bytes, begun.elapsed());
    report_memory(before);
    println!("{:<34} {:>8} KiB", "  compressed", stored.stored_bytes / 1024);

    for _ in 0..3 {
        memory::reset_peak(std::process::id()).unwrap();
        let before = memory::resident_bytes(std::process::id()).unwrap();
        let begun = Instant::now();
        let segment = Segment::Object { key: (&key).into(), range: 0..stored.stored_bytes };
        let mut stream = blobs.open(vec![segment]).await.unwrap();
        let first_byte = begun.elapsed();
        let mut read = 0;
        while let Some(chunk) = stream.try_next().await.unwrap() {
            read += chunk.len() as u64;
        }
        report("open, read to the end", read, begun.elapsed());
        println!("{:<34} {:>8.1} ms", "  first byte", first_byte.as_secs_f64() * 1e3);
        report_memory(before);
    }
    many_small_objects(&blobs).await;

    let folder = tempfile::tempdir().unwrap();
    let (raw, gzip) = (folder.path().join("raw"), folder.path().join("gz"));
    let mut file = File::create(&raw).unwrap();
    chunks().for_each(|chunk| file.write_all(&chunk).unwrap());
    let url = format!("{}/{}/{}", bucket.connection.endpoint, bucket.connection.bucket, bucket.prefix);
    curl_quietly(&bucket, &["-o", path(&gzip)], &format!("{url}/{key}"));
    for _ in 0..3 {
        let to_nowhere = ["-o", "/dev/null"];
        curl("curl GET of the same object", &bucket, &to_nowhere, &format!("{url}/{key}"), &gzip);
    }
    curl("curl PUT of the compressed bytes", &bucket, &["-T", path(&gzip)], &format!("{url}/gz"), &gzip);
    curl("curl PUT of the raw bytes", &bucket, &["-T", path(&raw)], &format!("{url}/raw"), &raw);

    for name in ["gz", "raw"] {
        curl_quietly(&bucket, &["-X", "DELETE"], &format!("{url}/{name}"));
    }
    let listed: Vec<_> = blobs.list().try_collect().await.unwrap();
    for object in listed {
        blobs.delete(&object.key).await.unwrap();
    }
}

/// An archive of a thousand sources with a little data each.
async fn many_small_objects(blobs: &Blobs) {
    let objects: Vec<_> = stream::iter(0..1_000)
        .map(|_| async {
            let key = object_key(ExportId::random(), AttemptId::random());
            let body = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b'x'; 2_000]))]);
            blobs.put_gzip(&key, body, u64::MAX, &NoJournal).await.unwrap()
        })
        .buffered(16)
        .collect()
        .await;
    let begun = Instant::now();
    let segments = objects
        .iter()
        .map(|object| Segment::Object { key: (&object.key).into(), range: 0..object.stored_bytes })
        .collect();
    let read: Vec<Bytes> = blobs.open(segments).await.unwrap().try_collect().await.unwrap();
    assert!(read.len() >= 1_000);
    println!("{:<34} {:>8.2} s", "open, 1,000 small objects", begun.elapsed().as_secs_f64());
}

fn curl(what: &str, bucket: &TestBucket, arguments: &[&str], url: &str, file: &Path) {
    let begun = Instant::now();
    curl_quietly(bucket, arguments, url);
    report(what, file.metadata().unwrap().len(), begun.elapsed());
}

fn curl_quietly(bucket: &TestBucket, arguments: &[&str], url: &str) {
    let server = &bucket.connection;
    let status = Command::new("curl")
        .args(["-sf", "--noproxy", "*", "--aws-sigv4", &format!("aws:amz:{}:s3", server.region)])
        .args(["--user", &format!("{}:{}", server.access_key_id, server.secret_access_key)])
        .args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .args(arguments)
        .arg(url)
        .status()
        .unwrap();
    assert!(status.success(), "curl {arguments:?} {url}");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn report(what: &str, bytes: u64, took: Duration) {
    let seconds = took.as_secs_f64();
    println!("{what:<34} {seconds:>8.2} s {:>8.1} MiB/s", bytes as f64 / MIB as f64 / seconds);
}

fn report_memory(before: u64) {
    let peak = memory::peak_bytes(std::process::id()).unwrap();
    println!("{:<34} {:>8} KiB", "  peak memory above the start", peak.saturating_sub(before) / 1024);
}

fn settings(bucket: &TestBucket) -> Settings {
    let server = bucket.connection.clone();
    let s3 = S3Settings {
        bucket: server.bucket,
        region: Some(server.region),
        endpoint: Some(server.endpoint),
        access_key_id: Some(server.access_key_id),
        secret_access_key: Some(server.secret_access_key.into()),
        allow_http: true,
        ..S3Settings::default()
    };
    Settings { kind: Kind::S3, s3, prefix: bucket.prefix.clone(), ..Settings::default() }
}

/// Rows of an inventory, which deflate to about a quarter.
fn sample(bytes: usize) -> Bytes {
    let mut state = 1_u64;
    let mut json = Vec::with_capacity(bytes + 256);
    while json.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = state >> 20;
        writeln!(
            json,
            r#"{{"id":"{random:011x}","host":"host-{:04}.example.org","installed":"2024-{:02}-{:02}T{:02}:{:02}:00Z","size":{},"section":"{}"}}"#,
            random % 5_000,
            random % 12 + 1,
            random % 28 + 1,
            random % 24,
            random % 60,
            random % 1_000_003,
            ["libs", "admin", "net", "devel", "doc"][usize::try_from(random % 5).unwrap()],
        )
        .unwrap();
    }
    json.truncate(bytes);
    json.into()
}

/// The chunk of that number of the sample, over and over.
fn slice(sample: &Bytes, chunk: usize) -> Bytes {
    let start = chunk * CHUNK_BYTES % sample.len();
    sample.slice(start..start + CHUNK_BYTES)
}
