//! The walk: servers, settings, migrations, services, demo application, first export, and then staying.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::applications::{self, Applications, DEMO};
use crate::backend::{Details, Servers};
use crate::data_folder::{DataFolder, write_private};
use crate::listeners::Listeners;
use crate::ready_file::{Ready, ReadyFile};
use crate::screen::{Stopwatch, show_examples};
use crate::settings::Settings;
use crate::supervisor::{Event, Program, Supervisor};
use crate::{Arguments, first_export};

/// Each separate service with the section that its sockets are set in.
const SERVICES: [(&str, &str); 4] = [
    ("public-api", "public_api"),
    ("internal-api", "internal_api"),
    ("dispatcher", "dispatcher"),
    ("expiry-reaper", "expiry_reaper"),
];
const STANDALONE: &str = "standalone";
const DEMO_PROGRAM: &str = "inventory-source";

const READY_LIMIT: Duration = Duration::from_secs(90);
/// A little more than services give themselves (`lifecycle.stop_timeout`, 25 s).
const STOP_GRACE: Duration = Duration::from_secs(30);
const DEMO_STOP_GRACE: Duration = Duration::from_secs(5);
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Starts everything, makes the first export, and serves until Ctrl-C, SIGTERM, or, with `--once`, the
/// end of the first export. Everything started is stopped before this returns.
///
/// # Errors
/// When something does not start, or with `--once` the export fails.
pub async fn run(arguments: &Arguments) -> Result<()> {
    let mut stop = StopSignals::new()?;
    let mut platform = Platform::new(arguments)?;
    let outcome = tokio::select! {
        outcome = platform.work() => outcome,
        () = stop.next() => Ok(()),
    };
    println!("\nStopping …");
    tokio::select! {
        () = platform.stop() => {}
        () = stop.next() => println!("Not waiting any longer"),
    }
    outcome
}

/// Ctrl-C and SIGTERM.
struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn new() -> Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

struct Platform<'a> {
    arguments: &'a Arguments,
    folder: DataFolder,
    applications: Applications,
    listeners: Listeners,
    binaries: PathBuf,
    ready_file: Option<ReadyFile>,
    supervisor: Supervisor,
    /// The mode with separate services has these; standalone brings its own.
    servers: Option<Servers>,
}

/// What is known once everything is ready.
struct Running {
    settings: Settings,
    details: Details,
    public_url: String,
}

impl<'a> Platform<'a> {
    fn new(arguments: &'a Arguments) -> Result<Self> {
        let folder = DataFolder::open(&arguments.data.join(mode(arguments)))?;
        let launcher = std::env::current_exe().context("the path of this program")?;
        Ok(Self {
            arguments,
            applications: applications::load(&folder)?,
            listeners: Listeners::choose(&folder)?,
            binaries: launcher.parent().unwrap_or(Path::new("/")).to_owned(),
            ready_file: arguments.ready_file.clone().map(ReadyFile::new),
            supervisor: Supervisor::new()?,
            servers: None,
            folder,
        })
    }

    async fn work(&mut self) -> Result<()> {
        let mut running = self.start().await?;
        if !self.arguments.no_demo {
            let demo = self.demo_program(&running)?;
            self.supervisor.add(demo)?;
        }
        let first = first_export(self.arguments, running.public_url.clone(), self.folder.entry("exports"));
        tokio::select! {
            outcome = first => outcome,
            outcome = self.keep_running(&mut running) => outcome,
        }
    }

    async fn start(&mut self) -> Result<Running> {
        let watch = Stopwatch::start();
        let what = if self.arguments.services { "the separate services" } else { "all in one process" };
        println!("Starting {what}, data in {}", self.folder.path().display());
        if self.arguments.services {
            self.servers = Some(Servers::start(&self.folder).await?);
        }
        let settings = self.write_settings()?;
        if self.arguments.services {
            self.migrate().await?;
        }
        let details_file = self.folder.entry("details.json");
        if details_file.exists() {
            // Of an earlier run, whose broker had another port.
            std::fs::remove_file(&details_file).context("removing what an earlier run left")?;
        }
        for program in self.service_programs(&settings)? {
            self.supervisor.add(program)?;
        }
        self.supervisor.wait_ready(READY_LIMIT).await?;
        let public_url = settings.url("public_api", "listen")?;
        let running = Running { details: self.details()?, settings, public_url };
        self.write_ready_file(&running)?;
        self.show_ready(&running, watch)?;
        Ok(running)
    }

    fn write_settings(&self) -> Result<Settings> {
        let mut settings = Settings::choose(&self.listeners, &self.applications, self.servers.as_ref());
        if let Some(own) = &self.arguments.config {
            settings = settings.with_file(own)?;
        }
        settings.write(&self.folder)?;
        Ok(settings)
    }

    /// Brings the database to the form that the services expect, to the end.
    async fn migrate(&self) -> Result<()> {
        let watch = Stopwatch::start();
        let mut command = tokio::process::Command::new(self.binary("migrate")?);
        command.arg("--config").arg(self.folder.entry("settings.toml")).kill_on_drop(true);
        let output = command.output().await.context("running migrate")?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            bail!("migrate failed ({}):\n{}", output.status, String::from_utf8_lossy(&said));
        }
        println!("  migrations done in {watch}");
        Ok(())
    }

    fn service_programs(&self, settings: &Settings) -> Result<Vec<Program>> {
        if self.arguments.services {
            return SERVICES.iter().map(|(name, section)| self.service(name, section, settings)).collect();
        }
        let mut standalone = self.service(STANDALONE, "standalone", settings)?;
        standalone.arguments.extend(["--data".into(), self.folder.path().into()]);
        standalone.arguments.extend(["--details-file".into(), self.folder.entry("details.json").into()]);
        Ok(vec![standalone])
    }

    fn service(&self, name: &str, section: &str, settings: &Settings) -> Result<Program> {
        Ok(Program {
            name: name.to_owned(),
            executable: self.binary(name)?,
            arguments: vec!["--config".into(), self.folder.entry("settings.toml").into()],
            ready_url: Some(format!("{}/readyz", settings.url(section, "ops_listen")?)),
            log: self.folder.log(name),
        })
    }

    fn demo_program(&self, running: &Running) -> Result<Program> {
        let key_file = self.folder.entry("inventory.key");
        let application = self.applications.get(DEMO).context("the demo application has no key")?;
        write_private(&key_file, application.psk.as_bytes())?;
        let internal_url = running.settings.url("internal_api", "listen")?;
        Ok(Program {
            name: DEMO_PROGRAM.to_owned(),
            executable: self.binary(DEMO_PROGRAM)?,
            arguments: vec![
                "--brokers".into(),
                running.details.kafka_brokers.clone().into(),
                "--internal-url".into(),
                internal_url.into(),
                "--key-file".into(),
                key_file.into(),
            ],
            ready_url: None,
            log: self.folder.log(DEMO_PROGRAM),
        })
    }

    /// Programs lie beside this one, where cargo built them all.
    fn binary(&self, name: &str) -> Result<PathBuf> {
        let path = self.binaries.join(name);
        if !path.is_file() {
            bail!("{} was not built: run cargo build --workspace --bins", path.display());
        }
        Ok(path)
    }

    fn details(&self) -> Result<Details> {
        match &self.servers {
            Some(servers) => Ok(servers.details()),
            None => Details::read(&self.folder.entry("details.json")),
        }
    }

    fn write_ready_file(&self, running: &Running) -> Result<()> {
        let Some(file) = &self.ready_file else { return Ok(()) };
        let metrics = self.services().map(|(name, section)| {
            let url = running.settings.url(section, "ops_listen")?;
            Ok((name.to_owned(), format!("{url}/metrics")))
        });
        let mut pids = self.supervisor.pids();
        pids.remove(DEMO_PROGRAM);
        file.write(&Ready {
            mode: mode(self.arguments),
            public_url: running.public_url.clone(),
            internal_url: running.settings.url("internal_api", "listen")?,
            metrics: metrics.collect::<Result<_>>()?,
            pids,
            kafka_brokers: running.details.kafka_brokers.clone(),
            postgres_url: running.details.postgres_url.clone(),
            object_store: running.details.object_store.clone(),
            applications: self.applications.clone(),
        })
    }

    /// The services of this mode, each with its section.
    fn services(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        let services = self.arguments.services;
        SERVICES
            .into_iter()
            .filter(move |_| services)
            .chain((!services).then_some((STANDALONE, "standalone")))
    }

    fn show_ready(&self, running: &Running, watch: Stopwatch) -> Result<()> {
        let Running { settings, public_url, details } = running;
        println!("Ready after {watch}");
        println!("  customers' API   {public_url}/api/export/v1   ({public_url}/api/export/v1/openapi.json)");
        println!("  internal API     {}/app/export/v1", settings.url("internal_api", "listen")?);
        for (name, section) in self.services() {
            println!("  {name:<16} {}/metrics", settings.url(section, "ops_listen")?);
        }
        println!("  Kafka            {}", details.kafka_brokers);
        println!("  application keys {}", self.folder.entry("keys.json").display());
        println!("  logs             {}", self.folder.entry("logs").display());
        Ok(())
    }

    /// Looks after everything that runs, for ever.
    async fn keep_running(&mut self, running: &mut Running) -> Result<()> {
        loop {
            for event in self.supervisor.look().await {
                self.react(event, running).await?;
            }
            if let Some(servers) = &self.servers {
                servers.restart_ended().await?;
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    async fn react(&mut self, event: Event, running: &mut Running) -> Result<()> {
        match event {
            Event::Ended { name, status, pause } => {
                let log = self.folder.log(&name);
                println!(
                    "{name} ended ({status}), starting it again in {pause:?}; its log: {}",
                    log.display()
                );
            }
            Event::NotStarted { name, error, pause } => {
                println!("{name} does not start, trying again in {pause:?}: {error}");
            }
            Event::Ready { name } => {
                println!("{name} runs again");
                self.refresh(running).await?;
            }
        }
        Ok(())
    }

    /// Tells everybody who needs to know that a process is another one. The embedded broker of standalone
    /// has another port each time, which the demo application cannot find out by itself.
    async fn refresh(&mut self, running: &mut Running) -> Result<()> {
        let details = self.details()?;
        let moved = details.kafka_brokers != running.details.kafka_brokers;
        running.details = details;
        if moved && !self.arguments.no_demo {
            let demo = self.demo_program(running)?;
            self.supervisor.replace(demo, DEMO_STOP_GRACE).await?;
        }
        self.write_ready_file(running)
    }

    async fn stop(&mut self) {
        // First, so that nobody starts to use what is about to end.
        self.ready_file = None;
        for name in self.supervisor.stop(STOP_GRACE).await {
            println!("{name} did not stop within {STOP_GRACE:?} and was killed");
        }
        if let Some(servers) = &self.servers {
            servers.stop().await;
        }
    }
}

fn mode(arguments: &Arguments) -> &'static str {
    if arguments.services { "services" } else { STANDALONE }
}

/// Makes the first export and, unless this is all that was asked for, stays.
async fn first_export(arguments: &Arguments, public_url: String, downloads: PathBuf) -> Result<()> {
    let mut export = None;
    if !arguments.no_demo {
        match first_export::make(&public_url, &downloads).await {
            Ok(id) => export = Some(id),
            Err(error) if arguments.once => return Err(error),
            // Everything else works: let a person find out why.
            Err(error) => println!("\nThe first export failed: {error:#}"),
        }
    }
    if arguments.once {
        return Ok(());
    }
    show_examples(&public_url, export.as_deref());
    println!("\nRunning until Ctrl-C.");
    pending().await
}
