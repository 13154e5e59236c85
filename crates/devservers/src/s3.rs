//! An S3 server (`SeaweedFS`: master, volume server, filer and S3 gateway in one process).

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::server::{Kind, Program};
use crate::{DataDir, Error, Server, net, tools};

const DATA: &str = "data";
const IDENTITIES: &str = "identities.json";
const ACCESS_KEY_ID: &str = "exports";
/// The server takes any region as long as client and signature agree.
const REGION: &str = "us-east-1";

/// An S3 server with one bucket and one pair of keys; signatures are checked.
pub type S3 = Server<S3Kind>;

/// Choices for an [`S3`].
#[derive(Debug, Clone)]
pub struct S3Options {
    /// Where objects are kept.
    pub data: DataDir,
    /// The bucket that exists once the server is ready (at least three characters).
    pub bucket: String,
    /// The most storage volumes, of 512 MiB each.
    pub volumes: u32,
}

impl Default for S3Options {
    fn default() -> Self {
        Self { data: DataDir::default(), bucket: "exports".to_owned(), volumes: 100 }
    }
}

/// What a client needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Connection {
    /// `http://127.0.0.1:PORT`; buckets are addressed by path.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The region to sign for.
    pub region: String,
}

impl S3 {
    /// Starts the server; returns once the bucket takes objects.
    ///
    /// # Errors
    /// [`Error::ToolMissing`] without `SeaweedFS`; [`Error::InUse`] when another process has the
    /// folder; otherwise what went wrong, with the end of the server's log.
    pub async fn start(options: S3Options) -> Result<Self, Error> {
        Self::start_in(options.data.clone(), options).await
    }

    /// What a client needs to know.
    pub fn connection(&self) -> S3Connection {
        let kind = self.kind();
        S3Connection {
            endpoint: format!("http://{}", net::local(kind.ports.s3)),
            bucket: kind.bucket.clone(),
            access_key_id: ACCESS_KEY_ID.to_owned(),
            secret_access_key: kind.secret.clone(),
            region: REGION.to_owned(),
        }
    }
}

/// What makes a server an S3 server.
#[derive(Debug)]
pub struct S3Kind {
    weed: PathBuf,
    bucket: String,
    volumes: u32,
    secret: String,
    ports: Ports,
}

/// Every part listens twice; with a port left at its default two servers could not run side by side.
#[derive(Debug, Clone, Copy)]
struct Ports {
    master: u16,
    master_grpc: u16,
    volume: u16,
    volume_grpc: u16,
    filer: u16,
    filer_grpc: u16,
    s3: u16,
    s3_grpc: u16,
}

impl Kind for S3Kind {
    type Options = S3Options;
    const NAME: &'static str = "the S3 server";
    const STOP: Signal = Signal::SIGTERM;
    const DROP: Signal = Signal::SIGKILL;
    // Left alone it waits 15 s for its own inner connections. What was acknowledged is with the
    // operating system already.
    const GRACE: Duration = Duration::from_secs(1);

    fn prepare(home: &Home, options: S3Options) -> Result<Self, Error> {
        let weed = tools::weed()?;
        let secret = home.secret("secret_access_key")?;
        let identities = serde_json::json!({"identities": [{
            "name": ACCESS_KEY_ID,
            "credentials": [{"accessKey": ACCESS_KEY_ID, "secretKey": secret}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        home.write_private(IDENTITIES, &identities.to_string())?;
        let data = home.path(DATA);
        std::fs::create_dir_all(&data).map_err(Error::file("make", &data))?;
        let [master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc] = home.ports()?;
        let ports = Ports { master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc };
        Ok(Self { weed, bucket: options.bucket, volumes: options.volumes, secret, ports })
    }

    fn command(&self, home: &Home) -> Result<Program, Error> {
        let mut command = Command::new(&self.weed);
        command.args(["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]);
        command.arg(format!("-dir={}", home.path(DATA).display()));
        command.arg(format!("-s3.config={}", home.path(IDENTITIES).display()));
        let Ports { master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc } = self.ports;
        for (option, value) in [
            ("master.port", u32::from(master)),
            ("master.port.grpc", u32::from(master_grpc)),
            ("volume.port", u32::from(volume)),
            ("volume.port.grpc", u32::from(volume_grpc)),
            ("filer.port", u32::from(filer)),
            ("filer.port.grpc", u32::from(filer_grpc)),
            ("s3.port", u32::from(s3)),
            ("s3.port.grpc", u32::from(s3_grpc)),
            ("volume.max", self.volumes),
            ("master.volumeSizeLimitMB", 512),
            ("volume.preStopSeconds", 0),
            // Gateways of other protocols, on fixed ports.
            ("s3.port.iceberg", 0),
            ("s3.port.lance", 0),
        ] {
            command.arg(format!("-{option}={value}"));
        }
        // No statistics leave this machine. Without its old elections the only master leads at once
        // instead of after 10 s; it learns the volumes from the volume server.
        command.args(["-master.telemetry=false", "-master.resumeState=false"]);
        command.args(["-s3.iam=false", "-s3.autoCreateBucket=false"]);
        // Volumes grow two at a time instead of seven, which would soon use up the volumes there are.
        command.env("WEED_MASTER_VOLUME_GROWTH_COPY_1", "2");
        Ok(Program { command, run_as: Vec::new() })
    }

    /// A bucket is a folder of the filer: writing a file into it makes it, and shows that the master
    /// hands out volumes and the volume server takes bytes. The gateway answers last.
    fn is_ready(&self) -> bool {
        let probe = format!("/buckets/{}/.ready", self.bucket);
        let filer = |method, body| net::http_status(self.ports.filer, method, &probe, body);
        matches!(filer("PUT", "ready"), Ok(201))
            && net::http_status(self.ports.s3, "GET", "/", "").is_ok()
            && matches!(filer("DELETE", ""), Ok(204))
    }
}
