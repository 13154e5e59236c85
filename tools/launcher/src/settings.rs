//! The settings file that all programs are started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value, toml};

use crate::applications::Applications;
use crate::backend::Servers;
use crate::data_folder::{DataFolder, write_private};
use crate::listeners::Listeners;

/// The file within the data folder.
pub(crate) const FILE: &str = "settings.toml";

/// The settings as the services will see them.
#[derive(Debug, Clone)]
pub(crate) struct Settings(Table);

impl Settings {
    /// What this launcher chooses: addresses and applications, and where the servers are, if the mode
    /// has any.
    pub(crate) fn choose(
        listeners: &Listeners,
        applications: &Applications,
        servers: Option<&Servers>,
    ) -> Self {
        let mut table = addresses(listeners, servers.is_none());
        table.insert("applications".to_owned(), Value::Table(application_sections(applications)));
        if let Some(servers) = servers {
            merge(&mut table, server_sections(servers));
        }
        Self(table)
    }

    /// Puts the settings of a file on top: a key of the file wins, sections are united.
    ///
    /// # Errors
    /// When the file cannot be read or is no TOML.
    pub(crate) fn with_file(mut self, path: &Path) -> Result<Self> {
        let failed = || format!("the settings file {}", path.display());
        let text = std::fs::read_to_string(path).with_context(failed)?;
        merge(&mut self.0, text.parse().with_context(failed)?);
        Ok(self)
    }

    /// Writes `settings.toml` (mode 0600: passwords are in it).
    ///
    /// # Errors
    /// The operating system's answer.
    pub(crate) fn write(&self, folder: &DataFolder) -> Result<()> {
        let text = toml::to_string_pretty(&self.0).context("writing the settings")?;
        let text = format!(
            "# Written by scripts/run at each start; put your own settings into a file for --config.\n\n{text}"
        );
        write_private(&folder.entry(FILE), text.as_bytes())
    }

    /// The topic of the request events.
    pub(crate) fn topic(&self) -> String {
        self.text("events", "topic").unwrap_or_else(|| bus::EventSettings::default().topic)
    }

    /// The topic of the lifecycle events.
    pub(crate) fn lifecycle_topic(&self) -> String {
        self.text("lifecycle_events", "topic").unwrap_or_else(|| bus::LifecycleEventSettings::default().topic)
    }

    /// The topics of announcements and of those that could not be used.
    pub(crate) fn announce_topics(&self) -> [String; 2] {
        let usual = bus::AnnounceSettings::default();
        let dead = self.text("announce", "dead_letter_topic").unwrap_or(usual.dead_letter_topic);
        [self.text("announce", "topic").unwrap_or(usual.topic), dead]
    }

    fn text(&self, section: &str, key: &str) -> Option<String> {
        self.0.get(section)?.get(key)?.as_str().map(ToOwned::to_owned)
    }

    /// `http://HOST:PORT` of a socket, for a client on this machine.
    ///
    /// # Errors
    /// When the setting was overridden with something that is no address.
    pub(crate) fn url(&self, section: &str, key: &str) -> Result<String> {
        let name = || format!("the setting {section}.{key}");
        let text = self.0.get(section).and_then(|section| section.get(key)).and_then(Value::as_str);
        let mut address: SocketAddr = text.with_context(name)?.parse().with_context(name)?;
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        Ok(format!("http://{address}"))
    }
}

fn addresses(listeners: &Listeners, standalone: bool) -> Table {
    let at = |port: u16| Value::String(format!("127.0.0.1:{port}"));
    let section = |entries: &[(&str, u16)]| {
        Value::Table(entries.iter().map(|(key, port)| ((*key).to_owned(), at(*port))).collect())
    };
    let mut table = Table::new();
    let mut add = |name: &str, entries: &[(&str, u16)]| table.insert(name.to_owned(), section(entries));
    add("public_api", &[("listen", listeners.public), ("ops_listen", listeners.public_ops)]);
    add("internal_api", &[("listen", listeners.internal), ("ops_listen", listeners.internal_ops)]);
    add("dispatcher", &[("ops_listen", listeners.dispatcher_ops)]);
    add("expiry_reaper", &[("ops_listen", listeners.reaper_ops)]);
    if !standalone {
        add("intake", &[("ops_listen", listeners.intake_ops)]);
    }
    if standalone {
        add("standalone", &[("ops_listen", listeners.standalone_ops)]);
    }
    table
}

fn application_sections(applications: &Applications) -> Table {
    let section = |(name, application): (&String, &crate::applications::Application)| {
        let mut table = application.entry.clone();
        table.insert("keys_sha256".to_owned(), Value::Array(vec![Value::String(application.key_hash())]));
        (name.clone(), Value::Table(table))
    };
    applications.iter().map(section).collect()
}

fn server_sections(servers: &Servers) -> Table {
    let s3 = servers.s3.connection();
    let (postgres_url, brokers) = (servers.postgres.url(), servers.kafka.brokers());
    let (endpoint, bucket, region) = (s3.endpoint, s3.bucket, s3.region);
    let (access_key_id, secret_access_key) = (s3.access_key_id, s3.secret_access_key);
    toml! {
        [database]
        url = postgres_url

        [kafka]
        brokers = brokers

        [object_store]
        kind = "s3"

        [object_store.s3]
        endpoint = endpoint
        bucket = bucket
        region = region
        access_key_id = access_key_id
        secret_access_key = secret_access_key
        path_style = true
        allow_http = true
    }
}

/// Puts `over` on top of `under`: tables are united, anything else is replaced.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::applications::Application;

    fn chosen() -> Settings {
        let (psk, entry) = ("abc".to_owned(), toml! { title = "Inventory" });
        let application = Application { psk, resources: Vec::new(), entry };
        let applications = BTreeMap::from([("inventory".to_owned(), application)]);
        Settings::choose(&Listeners::from([1, 2, 3, 4, 5, 6, 8, 7]), &applications, None)
    }

    #[test]
    fn addresses_and_key_hashes_are_in_the_file_and_keys_are_not() {
        let temp = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(temp.path()).unwrap();
        chosen().write(&folder).unwrap();
        let text = std::fs::read_to_string(folder.entry("settings.toml")).unwrap();
        let table: Table = text.parse().unwrap();
        assert_eq!(table["internal_api"]["ops_listen"].as_str(), Some("127.0.0.1:4"));
        assert_eq!(table["standalone"]["ops_listen"].as_str(), Some("127.0.0.1:7"));
        let hash = table["applications"]["inventory"]["keys_sha256"][0].as_str().unwrap();
        assert!(hash.starts_with("ba7816bf"), "{hash}");
        assert_eq!(table["applications"]["inventory"]["title"].as_str(), Some("Inventory"));
        assert!(!text.contains("\"abc\""));
    }

    #[test]
    fn settings_of_the_user_win_and_leave_the_others_alone() {
        let temp = tempfile::tempdir().unwrap();
        let own = temp.path().join("own.toml");
        std::fs::write(
            &own,
            "[public_api]\nlisten = \"0.0.0.0:99\"\nmax_sources = 5\n[telemetry]\nfilter = \"debug\"",
        )
        .unwrap();
        let settings = chosen().with_file(&own).unwrap();
        assert_eq!(settings.url("public_api", "listen").unwrap(), "http://127.0.0.1:99");
        assert_eq!(settings.url("public_api", "ops_listen").unwrap(), "http://127.0.0.1:3");
        assert_eq!(settings.0["public_api"]["max_sources"].as_integer(), Some(5));
        assert_eq!(chosen().topic(), "platform.export.requests");
        assert_eq!(chosen().lifecycle_topic(), "platform.export.lifecycle");
        assert_eq!(settings.0["telemetry"]["filter"].as_str(), Some("debug"));
    }

    #[test]
    fn a_file_that_is_no_toml_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let own = temp.path().join("own.toml");
        std::fs::write(&own, "listen = ").unwrap();
        assert!(chosen().with_file(&own).unwrap_err().to_string().contains("own.toml"));
    }
}
