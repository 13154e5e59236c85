//! Memory does not grow with the size of an upload or download. The programs are processes of their own.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use e2e::{Customer, Export, SOURCE_APPLICATION, SourceApplication, TestApp, expect};
use futures_util::stream;
use reqwest::{Body, Method, Url};
use testkit::{Process, memory};

use crate::support::{noise, wanted};

const MIB: u64 = 1 << 20;

/// The size of the file that is uploaded and downloaded.
const SIZE: u64 = 512 * MIB;

/// What one upload may take, by the design.
const UPLOAD: u64 = 24 * MIB;

/// What one download may take, by the design.
const DOWNLOAD: u64 = 4 * MIB;

/// What comes and goes by itself: code that is read in when it first runs, pools that grow.
const NOISE: u64 = 4 * MIB;

/// A process at rest takes no more than this.
const IDLE: u64 = 40 * MIB;

const PATIENCE: Duration = Duration::from_mins(1);

/// A service as a process.
struct Program {
    process: Process,
    address: String,
}

impl Program {
    /// Starts a program on the database and the bucket of `app`.
    async fn start(binary: &str, section: &str, app: &TestApp, folder: &Path) -> Self {
        let [api, ops] = devservers::free_ports().unwrap();
        let settings = folder.join(format!("{section}.toml"));
        std::fs::write(&settings, settings_of(section, app, api, ops)).unwrap();
        let log = folder.join(format!("{section}.log"));
        let arguments = ["--config".into(), settings.into_os_string()];
        let mut process = Process::start(Path::new(binary), arguments, [], &log).unwrap();
        process.wait_ready(&format!("http://127.0.0.1:{ops}/readyz"), PATIENCE).await.unwrap();
        Self { process, address: format!("127.0.0.1:{api}") }
    }

    fn resident(&self) -> u64 {
        memory::resident_bytes(self.process.pid()).unwrap()
    }

    /// By how much `work` made the memory of the process grow at its highest.
    async fn growth(&self, work: impl Future<Output = ()>) -> u64 {
        let before = self.resident();
        memory::reset_peak(self.process.pid()).unwrap();
        work.await;
        let grown = memory::peak_bytes(self.process.pid()).unwrap().saturating_sub(before);
        println!("{}: {} MiB, and {} MiB more", self.address, before / MIB, grown / MIB);
        grown
    }
}

/// The settings file of a process. Secrets do not write themselves: they are taken out one by one.
fn settings_of(section: &str, app: &TestApp, api: u16, ops: u16) -> String {
    let (database, storage) = (app.settings.database.url.expose(), &app.settings.object_store);
    let s3 = &storage.s3;
    format!(
        r#"
[database]
url = "{database}"
[object_store]
kind = "s3"
prefix = "{}"
[object_store.s3]
bucket = "{}"
region = "{}"
endpoint = "{}"
access_key_id = "{}"
secret_access_key = "{}"
allow_http = true
[{section}]
listen = "127.0.0.1:{api}"
ops_listen = "127.0.0.1:{ops}"
"#,
        storage.prefix,
        s3.bucket,
        s3.region.as_deref().unwrap(),
        s3.endpoint.as_deref().unwrap(),
        s3.access_key_id.as_deref().unwrap(),
        s3.secret_access_key.as_ref().unwrap().expose(),
    )
}

/// So many bytes that compress about 4:1, made while they are sent.
fn body(size_bytes: u64) -> Body {
    let piece: Vec<u8> =
        noise(64 << 10).iter().flat_map(|byte| format!("{{\"n\":{byte:03}}}\n").into_bytes()).collect();
    let piece = Bytes::from(piece);
    let pieces = stream::unfold(size_bytes, move |left| {
        let size = left.min(piece.len() as u64);
        let next = piece.slice(..usize::try_from(size).unwrap());
        async move { (size > 0).then_some((Ok::<_, std::io::Error>(next), left - size)) }
    });
    Body::wrap_stream(pieces)
}

async fn upload(app: &TestApp, program: &Program, export: &Export, place: usize, size_bytes: u64) {
    let path = format!("{}/upload", export.sources[place].path);
    let request = app.answer(&SourceApplication::named(SOURCE_APPLICATION), Method::POST, &path);
    let request = redirected(request.body(body(size_bytes)).build().unwrap(), program);
    expect(app.http().execute(request).await, 202).await;
}

/// Downloads and throws away; returns how many bytes came.
async fn download(app: &TestApp, program: &Program, export: &Export) -> u64 {
    let request = app.ask(&export.customer, Method::GET, &export.path()).build().unwrap();
    let mut answer = expect(app.http().execute(redirected(request, program)).await, 200).await;
    let (length, mut received) = (answer.content_length().unwrap(), 0);
    while let Some(chunk) = answer.chunk().await.unwrap() {
        received += chunk.len() as u64;
    }
    assert_eq!(received, length);
    received
}

/// The request, sent to the process instead of the app.
fn redirected(mut request: reqwest::Request, program: &Program) -> reqwest::Request {
    let url = request.url();
    let moved = format!("http://{}{}", program.address, url.path());
    *request.url_mut() = Url::parse(&moved).unwrap();
    request
}

#[tokio::test]
async fn half_a_gigabyte_goes_in_and_out_in_constant_memory() {
    let app = TestApp::with(|settings| {
        settings.application(SOURCE_APPLICATION).max_upload_bytes = Some(domain::ByteSize::from_mib(1024));
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let internal =
        Program::start(env!("CARGO_BIN_EXE_e2e-internal-api"), "internal_api", &app, folder.path()).await;
    let public =
        Program::start(env!("CARGO_BIN_EXE_e2e-public-api"), "public_api", &app, folder.path()).await;
    for program in [&internal, &public] {
        assert!(program.resident() <= IDLE, "{} at rest: {}", program.address, program.resident() / MIB);
    }
    // What a first request sets up stays.
    let small = app.create(&Customer::new(), &wanted(1)).await;
    upload(&app, &internal, &small, 0, 32 * MIB).await;
    download(&app, &public, &small).await;

    let large = app.create(&Customer::new(), &wanted(1)).await;
    let grown = internal.growth(upload(&app, &internal, &large, 0, SIZE)).await;
    assert!(grown <= UPLOAD + NOISE, "an upload takes {} MiB", grown / MIB);
    let grown = public.growth(async { assert!(download(&app, &public, &large).await > 50 * MIB) }).await;
    assert!(grown <= DOWNLOAD + NOISE, "a download takes {} MiB", grown / MIB);
    app.end().await;
}
