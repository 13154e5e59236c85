//! Everything that runs, in both modes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::sleep;

use crate::Arguments;
use crate::applications::{self, Applications, DEMO, PLATFORM};
use crate::backend::{Details, Servers};
use crate::data_folder::DataFolder;
use crate::left_behind;
use crate::listeners::Listeners;
use crate::programs::{ADMIN, DEMO_PROGRAM, DETAILS_FILE, Programs, SQL_PROGRAM, STANDALONE, Whereabouts};
use crate::ready_file::{Ready, ReadyFile};
use crate::screen::Stopwatch;
use crate::settings::{self, Settings};
use crate::supervisor::{Event, Program, Supervisor};

/// Each separate service with the section that its sockets are set in.
const SERVICES: [(&str, &str); 5] = [
    ("public-api", "public_api"),
    ("internal-api", "internal_api"),
    ("dispatcher", "dispatcher"),
    ("expiry-reaper", "expiry_reaper"),
    ("intake", "intake"),
];
const READY_LIMIT: Duration = Duration::from_secs(90);
/// A little more than services give themselves (`lifecycle.stop_timeout`, 25 s).
const STOP_GRACE: Duration = Duration::from_secs(30);
const DEMO_STOP_GRACE: Duration = Duration::from_secs(5);
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Everything that this launcher runs, and the folder it runs in.
pub(crate) struct Platform<'a> {
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
pub(crate) struct Running {
    settings: Settings,
    details: Details,
    /// The customers' API, without a path.
    pub(crate) public_url: String,
}

impl<'a> Platform<'a> {
    /// Nothing is started yet; the folder is ours from now on.
    ///
    /// # Errors
    /// When another launcher has the folder, or it cannot be used.
    pub(crate) fn new(arguments: &'a Arguments) -> Result<Self> {
        let folder = DataFolder::open(&arguments.data.join(mode(arguments)))?;
        left_behind::end(&folder, STOP_GRACE);
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

    /// Where downloads go.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.folder.entry("exports")
    }

    /// Starts servers, services and source applications, in this order; returns once all services are
    /// ready.
    ///
    /// # Errors
    /// When something does not start. What runs by then is [`stop`](Self::stop)'s to end.
    pub(crate) async fn start(&mut self) -> Result<Running> {
        let watch = Stopwatch::start();
        let what = if self.arguments.services { "the separate services" } else { "all in one process" };
        println!("Starting {what}, data in {}", self.folder.path().display());
        if self.arguments.services {
            self.servers = Some(Servers::start(&self.folder).await?);
        }
        let settings = self.write_settings()?;
        if let Some(servers) = &self.servers {
            let [announced, unusable] = settings.announce_topics();
            let (requests, news) = (settings.topic(), settings.lifecycle_topic());
            servers.make_topics(&[&requests, &news, &announced, &unusable]).await?;
            self.prepare_database().await?;
        }
        let details_file = self.folder.entry(DETAILS_FILE);
        if details_file.exists() {
            // Of an earlier run, whose broker had another port.
            std::fs::remove_file(&details_file).context("removing what an earlier run left")?;
        }
        for (name, section) in self.services() {
            let ops_url = settings.url(section, "ops_listen")?;
            let program = self.programs().service(name, &ops_url)?;
            self.supervisor.add(program)?;
        }
        left_behind::note(&self.folder, &self.supervisor.pids())?;
        self.supervisor.wait_ready(READY_LIMIT).await?;
        let public_url = settings.url("public_api", "listen")?;
        let running = Running { details: self.details()?, settings, public_url };
        self.write_ready_file(&running)?;
        self.show_ready(&running, watch)?;
        for program in self.source_applications(&running)? {
            self.supervisor.add(program)?;
        }
        left_behind::note(&self.folder, &self.supervisor.pids())?;
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

    /// Brings the database to the form that the services expect, and the registry to what the settings say.
    async fn prepare_database(&self) -> Result<()> {
        let watch = Stopwatch::start();
        let settings = self.folder.entry(settings::FILE);
        self.administrate(&["migrate".into()]).await?;
        self.administrate(&["registry".into(), "apply".into(), settings.into()]).await?;
        println!("  database prepared in {watch}");
        Ok(())
    }

    /// Runs the operators' command to its end.
    async fn administrate(&self, arguments: &[OsString]) -> Result<()> {
        let mut command = tokio::process::Command::new(self.programs().binary(ADMIN)?);
        command.args(arguments).arg("--config").arg(self.folder.entry(settings::FILE)).kill_on_drop(true);
        let output = command.output().await.context("preparing the database")?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            bail!("{ADMIN} {arguments:?} failed ({}):\n{}", output.status, String::from_utf8_lossy(&said));
        }
        Ok(())
    }

    fn programs(&self) -> Programs<'_> {
        Programs { folder: &self.folder, binaries: &self.binaries }
    }

    /// The source applications that were asked for.
    fn source_applications(&self, running: &Running) -> Result<Vec<Program>> {
        let key = |name: &str| {
            let application = self.applications.get(name).with_context(|| format!("{name} has no key"))?;
            anyhow::Ok(application.psk.as_str())
        };
        let (internal_url, topic) =
            (running.settings.url("internal_api", "listen")?, running.settings.topic());
        let at = Whereabouts {
            brokers: &running.details.kafka_brokers,
            topic: &topic,
            internal_url: &internal_url,
        };
        let mut programs = Vec::new();
        if !self.arguments.no_demo {
            programs.push(self.programs().demo(&at, key(DEMO)?)?);
        }
        if self.arguments.sql_source {
            let postgres_url = &running.details.postgres_url;
            programs.push(self.programs().sql_source(&at, key(PLATFORM)?, postgres_url)?);
        }
        Ok(programs)
    }

    fn details(&self) -> Result<Details> {
        match &self.servers {
            Some(servers) => Ok(servers.details()),
            None => Details::read(&self.folder.entry(DETAILS_FILE)),
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
        pids.remove(SQL_PROGRAM);
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
    ///
    /// # Errors
    /// When the files that tell of the processes cannot be written.
    pub(crate) async fn keep_running(&mut self, running: &mut Running) -> Result<()> {
        loop {
            for event in self.supervisor.look().await {
                self.react(event, running).await?;
            }
            if let Some(servers) = &mut self.servers {
                servers.restart_ended().await;
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
    /// has another port each time, which source applications cannot find out by themselves.
    async fn refresh(&mut self, running: &mut Running) -> Result<()> {
        let details = self.details()?;
        let moved = details.kafka_brokers != running.details.kafka_brokers;
        running.details = details;
        if moved {
            for program in self.source_applications(running)? {
                self.supervisor.replace(program, DEMO_STOP_GRACE).await?;
            }
        }
        left_behind::note(&self.folder, &self.supervisor.pids())?;
        self.write_ready_file(running)
    }

    /// Ends everything that was started, users before what they use.
    pub(crate) async fn stop(&mut self) {
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
