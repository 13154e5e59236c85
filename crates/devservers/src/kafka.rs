//! A single Apache Kafka broker (`KRaft`: broker and controller in one process).

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::home::Home;
use crate::random::random;
use crate::server::{Kind, Program, run};
use crate::{DataDir, Error, Server, net, tools};

const PROPERTIES: &str = "server.properties";
const LOGGING: &str = "log4j2.yaml";
const DATA: &str = "data";

/// Only what a person should read; the broker's own start says 1,500 lines.
const LOGGING_CONFIG: &str = "\
Configuration:
  Appenders:
    Console: {name: STDOUT, PatternLayout: {pattern: \"[%d] %p %m (%c)%n\"}}
  Loggers:
    Root: {level: WARN, AppenderRef: [{ref: STDOUT}]}
";

/// An Apache Kafka broker without replication, for one machine.
pub type Kafka = Server<KafkaKind>;

/// Choices for a [`Kafka`].
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// Where topics are kept.
    pub data: DataDir,
    /// The most memory of the Java heap, in MiB.
    pub heap_mib: u32,
    /// Partitions of a topic that is made by itself on first use.
    pub partitions: u32,
    /// Whether a topic is made by itself on first use.
    pub auto_create_topics: bool,
    /// The address of a proxy that clients are to use. The broker then has a second port
    /// ([`Kafka::proxied_port`], the proxy's upstream) on which it names that address as its own.
    pub proxy: Option<SocketAddr>,
    /// Further broker settings, as name and value; they win over those made here. The listener behind the
    /// proxy is called `PROXIED`.
    pub settings: Vec<(String, String)>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            data: DataDir::default(),
            heap_mib: 512,
            partitions: 1,
            auto_create_topics: true,
            proxy: None,
            settings: Vec::new(),
        }
    }
}

impl Kafka {
    /// Formats the storage if that was not done yet and starts the broker; returns once it serves.
    ///
    /// # Errors
    /// [`Error::ToolMissing`] without Java or Kafka; [`Error::InUse`] when another process has the
    /// folder; otherwise what went wrong, with the end of the broker's log.
    pub async fn start(options: KafkaOptions) -> Result<Self, Error> {
        Self::start_in(options.data.clone(), options).await
    }

    /// The address for clients (bootstrap servers), past any proxy: `127.0.0.1:PORT`.
    pub fn brokers(&self) -> String {
        net::local(self.kind().ports.client).to_string()
    }

    /// The address that a proxy forwards to; see [`KafkaOptions::proxy`].
    pub fn proxied_port(&self) -> SocketAddr {
        net::local(self.kind().ports.proxied)
    }
}

/// What makes a server a Kafka broker.
#[derive(Debug)]
pub struct KafkaKind {
    class_path: String,
    java: std::path::PathBuf,
    heap_mib: u32,
    ports: Ports,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    client: u16,
    proxied: u16,
    controller: u16,
}

impl Kind for KafkaKind {
    type Options = KafkaOptions;
    const NAME: &'static str = "Kafka";
    const STOP: Signal = Signal::SIGTERM;
    const DROP: Signal = Signal::SIGKILL;
    const GRACE: Duration = Duration::from_secs(15);

    fn prepare(home: &Home, options: KafkaOptions) -> Result<Self, Error> {
        let [client, proxied, controller] = home.ports()?;
        let kind = Self {
            class_path: tools::kafka_class_path()?,
            java: tools::java()?,
            heap_mib: options.heap_mib,
            ports: Ports { client, proxied, controller },
        };
        home.write_private(PROPERTIES, &properties(home, &options, kind.ports))?;
        home.write_private(LOGGING, LOGGING_CONFIG)?;
        if !home.path(DATA).join("meta.properties").exists() {
            kind.format(home)?;
        }
        Ok(kind)
    }

    fn command(&self, home: &Home) -> Result<Program, Error> {
        let mut command = self.java_command(home);
        command.arg(format!("-Xmx{}m", self.heap_mib)).arg("-XX:+ExitOnOutOfMemoryError");
        command.arg("kafka.Kafka").arg(home.path(PROPERTIES));
        Ok(Program { command, run_as: Vec::new() })
    }

    fn is_ready(&self) -> bool {
        matches!(net::kafka_api_versions(self.ports.client), Ok(0))
    }
}

impl KafkaKind {
    fn java_command(&self, home: &Home) -> Command {
        let mut command = Command::new(&self.java);
        command.args(["-cp", &self.class_path]);
        command.arg(format!("-Dlog4j2.configurationFile={}", home.path(LOGGING).display()));
        command
    }

    /// Gives the storage its cluster id. A format that was cut off is done again: the file that tells
    /// of it is written last.
    fn format(&self, home: &Home) -> Result<(), Error> {
        let data = home.path(DATA);
        if data.exists() {
            fs::remove_dir_all(&data).map_err(Error::file("remove", &data))?;
        }
        let mut command = self.java_command(home);
        command.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format"]);
        command.args(["-t", &cluster_id()?, "-c"]).arg(home.path(PROPERTIES));
        run(Self::NAME, &Program { command, run_as: Vec::new() })
    }
}

/// A random cluster id: 128 bits in URL-safe base64, 22 characters. The last one carries two bits.
fn cluster_id() -> Result<String, Error> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";
    let bytes: [u8; 22] = random()?;
    let mut id: String = bytes[..21].iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    id.push(char::from(b"AQgw"[usize::from(bytes[21] % 4)]));
    Ok(id)
}

/// The broker's settings. The short session: after a kill the new broker has to wait until the
/// controller gives up the old one.
fn properties(home: &Home, options: &KafkaOptions, ports: Ports) -> String {
    let Ports { client, proxied, controller } = ports;
    let mut listeners = format!("CLIENT://127.0.0.1:{client}");
    let mut advertised = listeners.clone();
    if let Some(proxy) = options.proxy {
        // Writing to a String cannot fail.
        let _ = write!(listeners, ",PROXIED://127.0.0.1:{proxied}");
        let _ = write!(advertised, ",PROXIED://{proxy}");
    }
    let (data, partitions, auto_create) =
        (home.path(DATA).display().to_string(), options.partitions, options.auto_create_topics);
    // Of a setting that is there twice the last one counts.
    let further: Vec<_> = options.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let further = further.join("\n");
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={advertised}
inter.broker.listener.name=CLIENT
listener.security.protocol.map=CLIENT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.partitions={partitions}
auto.create.topics.enable={auto_create}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
{further}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_id_has_the_form_kafka_expects() {
        let id = cluster_id().unwrap();
        assert_eq!(id.len(), 22);
        assert_ne!(id, cluster_id().unwrap());
    }
}
