//! Azure Blob Storage (npm `azurite`), with one account and one container.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::home::Home;
use crate::server::{Kind, Program};
use crate::{DataDir, Error, Server, net, tools};

const SCRIPT: &str = "server.mjs";
const SCRIPT_TEXT: &str = include_str!("azure_blobs/server.mjs");
const DATA: &str = "data";
const ACCOUNT: &str = "exports";
const CONTAINER: &str = "objects";

/// A server that speaks the protocol of Azure Blob Storage; keys, signatures and their expiry are checked.
pub type AzureBlobs = Server<AzureBlobsKind>;

/// What a client needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureBlobsConnection {
    /// `http://127.0.0.1:PORT/ACCOUNT`
    pub endpoint: String,
    /// The account.
    pub account: String,
    /// Its key, base64.
    pub access_key: String,
    /// The container, which exists.
    pub container: String,
}

impl AzureBlobs {
    /// Starts it; returns once the container takes objects.
    ///
    /// # Errors
    /// [`Error::ToolMissing`] without Node.js or `azurite`; [`Error::InUse`] when another process has the folder;
    /// otherwise what went wrong, with the end of its log.
    pub async fn start(data: DataDir) -> Result<Self, Error> {
        Self::start_in(data, ()).await
    }

    /// What a client needs to know.
    pub fn connection(&self) -> AzureBlobsConnection {
        let kind = self.kind();
        AzureBlobsConnection {
            endpoint: format!("http://{}/{ACCOUNT}", net::local(kind.port)),
            account: ACCOUNT.to_owned(),
            access_key: kind.access_key.clone(),
            container: CONTAINER.to_owned(),
        }
    }
}

/// What makes a server one of Azure Blob Storage.
#[derive(Debug)]
pub struct AzureBlobsKind {
    node: PathBuf,
    port: u16,
    ready_port: u16,
    access_key: String,
}

impl Kind for AzureBlobsKind {
    type Options = ();
    const NAME: &'static str = "Azurite";
    const STOP: Signal = Signal::SIGTERM;
    const DROP: Signal = Signal::SIGKILL;
    const GRACE: Duration = Duration::from_secs(5);

    fn prepare(home: &Home, (): ()) -> Result<Self, Error> {
        let (node, libraries) = (tools::node()?, tools::azurite_libraries()?);
        home.write_private(SCRIPT, SCRIPT_TEXT)?;
        // A script finds its libraries beside itself.
        let link = home.path("node_modules");
        if link.symlink_metadata().is_err() {
            symlink(&libraries, &link).map_err(Error::file("make", &link))?;
        }
        let [port, ready_port] = home.ports()?;
        // Hexadecimal digits are base64, too.
        Ok(Self { node, port, ready_port, access_key: home.secret("access_key")? })
    }

    fn command(&self, home: &Home) -> Result<Program, Error> {
        let mut command = Command::new(&self.node);
        command.arg(home.path(SCRIPT)).arg(home.path(DATA));
        command.args([&self.port.to_string(), &self.ready_port.to_string(), CONTAINER]);
        command.env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{}", self.access_key));
        Ok(Program { command, run_as: Vec::new() })
    }

    fn is_ready(&self) -> bool {
        matches!(net::http_status(self.ready_port, "GET", "/", ""), Ok(200))
    }
}
