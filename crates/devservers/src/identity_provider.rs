//! `OpenID Connect` issuers (npm `oidc-provider`), as many as are asked for, in one process.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::home::Home;
use crate::server::{Kind, Program};
use crate::{DataDir, Error, Server, net, tools};

const SCRIPT: &str = "provider.mjs";
/// What is asked of it beside the protocol is said at the top of the file.
const SCRIPT_TEXT: &str = include_str!("identity_provider/provider.mjs");

/// A process that makes `OpenID Connect` issuers when asked to. They have short lives: what it made is gone
/// with it.
pub type IdentityProvider = Server<IdentityProviderKind>;

impl IdentityProvider {
    /// Starts it; returns once it answers.
    ///
    /// # Errors
    /// [`Error::ToolMissing`] without Node.js or `oidc-provider`; [`Error::InUse`] when another process has the
    /// folder; otherwise what went wrong, with the end of its log.
    pub async fn start(data: DataDir) -> Result<Self, Error> {
        Self::start_in(data, ()).await
    }

    /// Where issuers are made: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", net::local(self.kind().port))
    }
}

/// What makes a server an identity provider.
#[derive(Debug)]
pub struct IdentityProviderKind {
    node: PathBuf,
    port: u16,
}

impl Kind for IdentityProviderKind {
    type Options = ();
    const NAME: &'static str = "the identity provider";
    const STOP: Signal = Signal::SIGTERM;
    const DROP: Signal = Signal::SIGKILL;
    const GRACE: Duration = Duration::from_secs(1);

    fn prepare(home: &Home, (): ()) -> Result<Self, Error> {
        let (node, libraries) = (tools::node()?, tools::oidc_provider_libraries()?);
        home.write_private(SCRIPT, SCRIPT_TEXT)?;
        // A script finds its libraries beside itself.
        let link = home.path("node_modules");
        if link.symlink_metadata().is_err() {
            symlink(&libraries, &link).map_err(Error::file("make", &link))?;
        }
        let [port] = home.ports()?;
        Ok(Self { node, port })
    }

    fn command(&self, home: &Home) -> Result<Program, Error> {
        let mut command = Command::new(&self.node);
        command.arg(home.path(SCRIPT)).arg(self.port.to_string());
        Ok(Program { command, run_as: Vec::new() })
    }

    fn is_ready(&self) -> bool {
        matches!(net::http_status(self.port, "GET", "/", ""), Ok(200))
    }
}
