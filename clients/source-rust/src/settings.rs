//! What a source needs to know.

use std::{collections::BTreeMap, fmt, time::Duration};

use reqwest::Url;

use crate::{Credentials, Error};

/// Properties of the Kafka client on which the delivery of requests rests. Nobody may set them.
const RESERVED: [&str; 5] = [
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "group.id",
    "partition.assignment.strategy",
];

/// What a source needs to know. [`Settings::new`] has the necessary; every field may be changed.
#[derive(Clone)]
pub struct Settings {
    /// The name under which your application is registered.
    pub application: String,
    /// Kafka, `host:port` of one or more brokers, with commas.
    pub brokers: String,
    /// The topic of requests. Default: `platform.export.requests`.
    pub topic: String,
    /// The consumer group; replicas of your application share it. Default: the application's name.
    pub group: String,
    /// Further properties of librdkafka, such as those for TLS and SASL; they win over what is set here.
    pub kafka: BTreeMap<String, String>,
    /// The internal API, without its path: `https://internal-api.example`.
    pub internal_url: String,
    /// What your application calls it with.
    pub credentials: Credentials,
    /// How many requests are answered at the same time. Default: 4.
    pub parallel: usize,
    /// Whether data goes up in pieces of 8 MiB, by tus 1.0 (S0-tus): a connection that breaks costs at most a piece
    /// and the function is not called again, for the memory of a piece for each request. For much data, poor lines
    /// and functions that are slower than the platform waits for an upload. Default: false.
    pub resumable: bool,
    /// How long answers that are under way may take once the source is to stop. What is not done by then is asked
    /// again after the next start. Default: 20 s.
    pub stop_grace: Duration,
    /// How long a request is tried again that you refuse with [`crate::Refusal::later`]. Default: 15 min.
    pub patience: Duration,
    /// How long the platform may take nothing of an upload, or not answer after its end, before it is tried again.
    /// Default: 2 min.
    pub stall_limit: Duration,
    /// The first wait before another try; each further one is twice as long. Default: 250 ms.
    pub first_wait: Duration,
    /// The longest wait before another try, also when the platform asks for a longer one. Default: 1 min.
    pub longest_wait: Duration,
}

impl Settings {
    /// The necessary, and defaults for the rest.
    pub fn new(
        application: impl Into<String>,
        brokers: impl Into<String>,
        internal_url: impl Into<String>,
        credentials: Credentials,
    ) -> Self {
        let application = application.into();
        Self {
            brokers: brokers.into(),
            topic: "platform.export.requests".to_owned(),
            group: application.clone(),
            kafka: BTreeMap::new(),
            internal_url: internal_url.into(),
            credentials,
            parallel: 4,
            resumable: false,
            stop_grace: Duration::from_secs(20),
            patience: Duration::from_mins(15),
            stall_limit: Duration::from_mins(2),
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_mins(1),
            application,
        }
    }

    /// Looks whether they can be used; returns the URL of the internal API.
    pub(crate) fn check(&self) -> Result<Url, Error> {
        for (name, value) in [
            ("application", &self.application),
            ("brokers", &self.brokers),
            ("topic", &self.topic),
            ("group", &self.group),
        ] {
            if value.trim().is_empty() {
                return Err(Error::Settings(format!("the setting {name} is empty")));
            }
        }
        for (name, wait) in [("first_wait", self.first_wait), ("longest_wait", self.longest_wait)] {
            if wait.is_zero() {
                return Err(Error::Settings(format!(
                    "the setting {name} is 0: tries would follow without a pause"
                )));
            }
        }
        if let Some(name) = self.kafka.keys().find(|name| RESERVED.contains(&name.as_str())) {
            return Err(Error::Settings(format!("the Kafka property {name} is not yours to set")));
        }
        let url = Url::parse(&self.internal_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        url.ok_or_else(|| Error::Settings(format!("internal_url is not an HTTP URL: {}", self.internal_url)))
    }
}

impl fmt::Debug for Settings {
    /// Without the values of Kafka properties: passwords are among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("application", &self.application)
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("group", &self.group)
            .field("kafka", &self.kafka.keys())
            .field("internal_url", &self.internal_url)
            .field("parallel", &self.parallel)
            .field("resumable", &self.resumable)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("billing", "localhost:9092", "http://localhost:8081", Credentials::key("k"))
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        assert!(settings().check().is_ok());
        for (broken, named) in [
            (Settings { internal_url: "localhost:8081".to_owned(), ..settings() }, "internal_url"),
            (Settings { brokers: " ".to_owned(), ..settings() }, "brokers"),
            (Settings { first_wait: Duration::ZERO, ..settings() }, "first_wait"),
            (Settings { longest_wait: Duration::ZERO, ..settings() }, "longest_wait"),
            (
                Settings { kafka: BTreeMap::from([("group.id".to_owned(), "g".to_owned())]), ..settings() },
                "group.id",
            ),
        ] {
            assert!(broken.check().unwrap_err().to_string().contains(named));
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let mut settings = Settings { credentials: Credentials::key("hunter2"), ..settings() };
        settings.kafka.insert("sasl.password".to_owned(), "hunter2".to_owned());
        assert!(!format!("{settings:?} {:?}", settings.credentials).contains("hunter2"));
    }
}
