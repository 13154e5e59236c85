//! The command line of `exportctl verify-source`.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use clap::ValueEnum;
use serde_json::{Map, Value};

use super::check::Check;

const AFTER_HELP: &str = "\
The application must run, with the same broker and topic, and must send its answers to --listen instead of the \
platform's internal API, with the key in --key-file. Give it a consumer group of its own for this: what it \
reads while it is verified, the platform never gets an answer for.

Exit codes: 0 all checks passed (warnings are allowed), 1 a check failed or the run did not reach its end, \
2 wrong usage, or Kafka or the address to listen on could not be used.";

/// Checks that a running source application answers as it should, and says what to mend. Takes the
/// platform's place: sends requests to Kafka, and serves an internal API that takes the answers.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The name under which the application is registered.
    #[arg(long)]
    pub application: String,
    /// A resource that it offers; a small one is best, it is asked for about forty times.
    #[arg(long)]
    pub resource: String,
    /// The formats in which it offers the resource. The others must be answered with an error report.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [DataFormat::Json, DataFormat::Csv])]
    pub formats: Vec<DataFormat>,
    /// Filters that the resource knows and that leave out some of its rows, a JSON object:
    /// `{"section": "libs"}`. Without them the application of filters is not checked.
    #[arg(long, value_name = "JSON", value_parser = parse_object)]
    pub filters: Option<Map<String, Value>>,
    /// For whom is asked, as in `x-rh-identity`, before base64: somebody who has data.
    #[arg(long, value_name = "JSON", value_parser = parse_identity,
        default_value = r#"{"identity":{"org_id":"1","type":"User","user":{"username":"jdoe"}}}"#)]
    pub identity: Identity,
    /// Kafka, `host:port` of one or more brokers.
    #[arg(long, env = "BROKERS", default_value = "127.0.0.1:9092")]
    pub brokers: String,
    /// The topic of requests.
    #[arg(long, env = "TOPIC", default_value = "platform.export.requests")]
    pub topic: String,
    /// A property of librdkafka, such as `security.protocol=sasl_ssl`; may be given again.
    #[arg(long, value_name = "KEY=VALUE")]
    pub kafka: Vec<Property>,
    /// A file with such properties, one a line; for those that nobody should see, such as `sasl.password`.
    #[arg(long, value_name = "FILE")]
    pub kafka_file: Option<PathBuf>,
    /// The application's consumer group. Without it the commit of offsets is not checked.
    #[arg(long)]
    pub group: Option<String>,
    /// Where to serve the internal API that the application sends its answers to.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8181")]
    pub listen: SocketAddr,
    /// File that holds the key that the application sends. Without it the key is `verify-source`.
    #[arg(long, env = "KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The application shows a token instead of a key: `Authorization: Bearer`. Any token will do.
    #[arg(long, conflicts_with = "key_file")]
    pub bearer: bool,
    /// How long one answer may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub answer_within: u64,
    /// How long the first answer may take: an application that was started again a moment ago may have to wait for
    /// its partitions, by default 45 s.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub start_within: u64,
    /// How long the whole run may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// Only these checks.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CHECK")]
    pub only: Vec<Check>,
    /// How to print the report.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
}

/// A format that data can be asked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DataFormat {
    /// An array.
    Json,
    /// RFC 4180.
    Csv,
}

impl DataFormat {
    /// As events have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

/// How to print a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The JSON text.
    pub json: String,
    /// The organization that it names.
    pub org_id: String,
}

/// A property of librdkafka. Its value may be a password and is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=***", self.key)
    }
}

impl FromStr for Property {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
        if key.trim().is_empty() {
            return Err("expected KEY=VALUE");
        }
        Ok(Self { key: key.trim().to_owned(), value: value.trim().to_owned() })
    }
}

fn parse_object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}

fn parse_identity(text: &str) -> Result<Identity, String> {
    let parsed: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let identity = &parsed["identity"];
    let org_id = [&identity["org_id"], &identity["internal"]["org_id"]].into_iter().find_map(Value::as_str);
    match org_id {
        Some(org_id) if !org_id.is_empty() => {
            Ok(Identity { json: text.to_owned(), org_id: org_id.to_owned() })
        }
        _ => Err("identity.org_id is missing".to_owned()),
    }
}

impl Arguments {
    /// Whether a check was asked for.
    pub fn wants(&self, check: Check) -> bool {
        self.only.is_empty() || self.only.contains(&check)
    }

    /// The format of requests that are about something else.
    pub fn main_format(&self) -> DataFormat {
        self.formats.first().copied().unwrap_or(DataFormat::Json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_does_not_show_its_value() {
        let property: Property = "sasl.password=a=b".parse().unwrap();
        assert_eq!(property.value, "a=b");
        assert_eq!(format!("{property:?}"), "sasl.password=***");
        assert!("=x".parse::<Property>().is_err() && "x".parse::<Property>().is_err());
    }

    #[test]
    fn an_identity_names_its_organization() {
        let old = parse_identity(r#"{"identity":{"internal":{"org_id":"7"}}}"#).unwrap();
        assert_eq!(old.org_id, "7");
        assert!(parse_identity("{}").is_err());
        assert!(parse_identity("x").is_err());
    }
}
