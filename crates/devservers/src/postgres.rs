//! A private `PostgreSQL` cluster.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};

use crate::home::Home;
use crate::server::{Kind, Program, run};
use crate::{DataDir, Error, Server, tools};

/// The folder of the cluster within the server's folder.
const CLUSTER: &str = "cluster";
/// The superuser of the cluster.
const SUPERUSER: &str = "postgres";
/// The system user the server runs as when we are root: it refuses to run as root.
const SYSTEM_USER: &str = "postgres";

/// A `PostgreSQL` server with a cluster of its own, reached over TCP with a password.
pub type Postgres = Server<PostgresKind>;

/// Choices for a [`Postgres`].
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Where the cluster is kept.
    pub data: DataDir,
    /// The most connections at a time.
    pub max_connections: u32,
    /// Whether a commit waits for the disk. Off is for throw-away test clusters only.
    pub fsync: bool,
    /// The certificate and the private key with which the server speaks TLS too, as PEM files.
    pub tls: Option<[PathBuf; 2]>,
    /// Further server settings, as name and value.
    pub settings: Vec<(String, String)>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { data: DataDir::default(), max_connections: 100, fsync: true, tls: None, settings: Vec::new() }
    }
}

impl Postgres {
    /// Makes the cluster if there is none yet and starts the server; returns once it takes connections.
    ///
    /// # Errors
    /// [`Error::ToolMissing`] without the Debian package `postgresql`; [`Error::InUse`] when another
    /// process has the folder; otherwise what went wrong, with the end of the server's log.
    pub async fn start(options: PostgresOptions) -> Result<Self, Error> {
        Self::start_in(options.data.clone(), options).await
    }

    /// `postgres://postgres:PASSWORD@127.0.0.1:PORT/postgres`
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The same URL for another database.
    pub fn url_of(&self, database: &str) -> String {
        let kind = self.kind();
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}", kind.password, kind.port)
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.kind().port
    }
}

/// What makes a server a `PostgreSQL`.
#[derive(Debug)]
pub struct PostgresKind {
    bin: PathBuf,
    port: u16,
    password: String,
    settings: Vec<(String, String)>,
    run_as: Vec<String>,
}

impl Kind for PostgresKind {
    type Options = PostgresOptions;
    const NAME: &'static str = "PostgreSQL";
    // Fast shutdown: sessions are ended, what is committed is flushed.
    const STOP: Signal = Signal::SIGINT;
    // Immediate shutdown: like a crash, without leaving sessions behind.
    const DROP: Signal = Signal::SIGQUIT;
    const GRACE: Duration = Duration::from_secs(20);

    fn prepare(home: &Home, options: PostgresOptions) -> Result<Self, Error> {
        let bin = tools::postgres_bin()?;
        let user = system_user()?;
        let run_as = match &user {
            Some(user) => setpriv_options(user, home.dir())?,
            None => Vec::new(),
        };
        let password = home.secret("password")?;
        let cluster = home.path(CLUSTER);
        if !cluster.exists() {
            init_cluster(&cluster, &bin, &password, user.as_ref(), &run_as, options.fsync)?;
        }
        let [port] = home.ports()?;
        let mut settings = vec![
            ("listen_addresses".to_owned(), "127.0.0.1".to_owned()),
            // The path of a socket may be too long for one, and nobody needs it.
            ("unix_socket_directories".to_owned(), String::new()),
            ("max_connections".to_owned(), options.max_connections.to_string()),
        ];
        if !options.fsync {
            for name in ["fsync", "synchronous_commit", "full_page_writes"] {
                settings.push((name.to_owned(), "off".to_owned()));
            }
        }
        if let Some(files) = &options.tls {
            settings.extend(tls_settings(&cluster, files, user.as_ref())?);
        }
        settings.extend(options.settings);
        Ok(Self { bin, port, password, settings, run_as })
    }

    fn command(&self, home: &Home) -> Result<Program, Error> {
        let mut command = Command::new(self.bin.join("postgres"));
        command.arg("-D").arg(home.path(CLUSTER)).args(["-p", &self.port.to_string()]);
        for (name, value) in &self.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        Ok(Program { command, run_as: self.run_as.clone() })
    }

    fn is_ready(&self) -> bool {
        Command::new(self.bin.join("pg_isready"))
            .args(["-q", "-t", "2", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .stdin(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

/// Copies certificate and key to where the server may read them; it insists that the key is its own.
fn tls_settings(
    cluster: &Path,
    files: &[PathBuf; 2],
    owner: Option<&User>,
) -> Result<Vec<(String, String)>, Error> {
    let mut settings = vec![("ssl".to_owned(), "on".to_owned())];
    for (from, name) in files.iter().zip(["cert", "key"]) {
        let to = cluster.join(format!("server.{name}"));
        let text = fs::read_to_string(from).map_err(Error::file("read", from))?;
        write_secret(&to, text.trim_end())?;
        if let Some(user) = owner {
            chown(&to, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .map_err(Error::file("hand over", &to))?;
        }
        settings.push((format!("ssl_{name}_file"), to.display().to_string()));
    }
    Ok(settings)
}

/// Makes the cluster under another name and renames it, so that a start cut off here begins anew.
fn init_cluster(
    cluster: &Path,
    bin: &Path,
    password: &str,
    owner: Option<&User>,
    run_as: &[String],
    sync: bool,
) -> Result<(), Error> {
    let scratch = cluster.with_extension("new");
    let password_file = cluster.with_extension("password");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).map_err(Error::file("remove", &scratch))?;
    }
    fs::create_dir(&scratch).map_err(Error::file("make", &scratch))?;
    write_secret(&password_file, password)?;
    if let Some(user) = owner {
        for path in [&scratch, &password_file] {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .map_err(Error::file("hand over", path))?;
        }
    }
    let mut command = Command::new(bin.join("initdb"));
    command.arg("-D").arg(&scratch).arg("--pwfile").arg(&password_file);
    command.args(["-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"]);
    if !sync {
        command.arg("--no-sync");
    }
    let outcome = run(PostgresKind::NAME, &Program { command, run_as: run_as.to_vec() });
    fs::remove_file(&password_file).map_err(Error::file("remove", &password_file))?;
    outcome?;
    fs::rename(&scratch, cluster).map_err(Error::file("rename", &scratch))
}

fn write_secret(path: &Path, secret: &str) -> Result<(), Error> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{secret}"))
        .map_err(Error::file("write", path))
}

/// The user to run as, or None when we are not root and run as ourselves.
fn system_user() -> Result<Option<User>, Error> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    User::from_name(SYSTEM_USER)
        .ok()
        .flatten()
        .map(Some)
        .ok_or_else(|| Error::ToolMissing { tool: format!("the system user {SYSTEM_USER}"), group: "run" })
}

/// The `setpriv` options that make root run a command as `user`.
///
/// Below a folder that other users may not enter (such as root's home) the command keeps one
/// capability: to pass through it. Without it, a checkout there could not have its data inside.
fn setpriv_options(user: &User, dir: &Path) -> Result<Vec<String>, Error> {
    if tools::on_path("setpriv").is_none() {
        return Err(Error::ToolMissing {
            tool: "setpriv (Debian package util-linux)".to_owned(),
            group: "run",
        });
    }
    let mut options =
        vec![format!("--reuid={}", user.uid), format!("--regid={}", user.gid), "--clear-groups".to_owned()];
    let barred = dir.ancestors().any(|folder| {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & 0o001 == 0)
    });
    if barred && let Some(capability) = passing_capability() {
        options.push(format!("--inh-caps=-all,+{capability}"));
        options.push(format!("--ambient-caps=-all,+{capability}"));
    }
    Ok(options)
}

/// The weakest capability we have that lets a process enter any folder; None when we have none.
fn passing_capability() -> Option<&'static str> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let held = status.lines().find_map(|line| line.strip_prefix("CapPrm:"))?;
    let held = u64::from_str_radix(held.trim(), 16).ok()?;
    // Bit numbers of linux/capability.h.
    [("dac_read_search", 2), ("dac_override", 1)]
        .into_iter()
        .find_map(|(name, bit)| (held >> bit & 1 == 1).then_some(name))
}
