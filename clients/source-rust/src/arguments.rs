//! The command line and environment variables that every source application has.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;

use crate::{ClientCredentials, Credentials, Error, Settings};

/// Where the platform is and how it is called. For `#[command(flatten)]` in your own arguments.
#[derive(Debug, Clone, clap::Args)]
// Its name by default is that of the type, which yours may have as well.
#[group(id = "export-source")]
pub struct Arguments {
    /// Kafka, `host:port` of one or more brokers.
    #[arg(long, env = "BROKERS", default_value = "127.0.0.1:9092")]
    pub brokers: String,
    /// The topic of requests.
    #[arg(long, env = "TOPIC", default_value = "platform.export.requests")]
    pub topic: String,
    /// The consumer group; replicas share it. Default: the application's name.
    #[arg(long, env = "GROUP")]
    pub group: Option<String>,
    /// A property of the Kafka client (librdkafka), such as `security.protocol=ssl`; may be given several times.
    /// In the environment separated by commas.
    #[arg(
        long = "kafka",
        env = "KAFKA_PROPERTIES",
        value_name = "NAME=VALUE",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub kafka: Vec<String>,
    /// The internal API, without path.
    #[arg(long, env = "INTERNAL_URL", default_value = "http://127.0.0.1:8081")]
    pub internal_url: String,
    /// The name under which the application is registered.
    #[arg(long, env = "APPLICATION")]
    pub application: Option<String>,
    /// File that holds the application's key.
    #[arg(long, env = "KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Token endpoint of an OIDC issuer; instead of a key.
    #[arg(long, env = "TOKEN_URL", value_name = "URL", requires_all = ["client_id", "client_secret_file"])]
    pub token_url: Option<String>,
    /// The client that tokens are for.
    #[arg(long, env = "CLIENT_ID", value_name = "ID")]
    pub client_id: Option<String>,
    /// File that holds the client's secret.
    #[arg(long, env = "CLIENT_SECRET_FILE", value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,
    /// The audience that tokens are asked for, where the issuer wants to know.
    #[arg(long, env = "TOKEN_AUDIENCE", value_name = "AUDIENCE")]
    pub token_audience: Option<String>,
    /// How many requests are answered at the same time.
    #[arg(long, env = "PARALLEL", default_value_t = 4)]
    pub parallel: usize,
    /// Uploads in pieces, so that a connection that breaks costs at most a piece.
    #[arg(long, env = "RESUMABLE", value_parser = BoolishValueParser::new())]
    pub resumable: bool,
}

impl Arguments {
    /// The settings of an application that is called `default_application` unless the arguments say otherwise.
    ///
    /// # Errors
    /// [`Error::Settings`] when there is neither a key nor a client, or a file cannot be read.
    pub fn settings(&self, default_application: &str) -> Result<Settings, Error> {
        let application = self.application.as_deref().unwrap_or(default_application);
        let mut settings = Settings::new(application, &self.brokers, &self.internal_url, self.credentials()?);
        settings.topic.clone_from(&self.topic);
        if let Some(group) = &self.group {
            settings.group.clone_from(group);
        }
        for property in &self.kafka {
            let (name, value) = property.split_once('=').ok_or_else(|| {
                // Without its text: it may be a password.
                Error::Settings("a Kafka property is not of the form NAME=VALUE".to_owned())
            })?;
            settings.kafka.insert(name.trim().to_owned(), value.to_owned());
        }
        settings.parallel = self.parallel;
        settings.resumable = self.resumable;
        Ok(settings)
    }

    fn credentials(&self) -> Result<Credentials, Error> {
        if let (Some(url), Some(id), Some(file)) =
            (&self.token_url, &self.client_id, &self.client_secret_file)
        {
            let secret = std::fs::read_to_string(file)
                .map_err(|error| Error::Settings(format!("the file {}: {error}", file.display())))?;
            let mut client = ClientCredentials::new(url, id, secret.trim());
            if let Some(audience) = &self.token_audience {
                client = client.with("audience", audience);
            }
            return Ok(Credentials::bearer(client));
        }
        let file =
            self.key_file.as_ref().ok_or_else(|| Error::Settings("a key file is needed".to_owned()))?;
        std::fs::metadata(file)
            .map_err(|error| Error::Settings(format!("the key file {}: {error}", file.display())))?;
        Ok(Credentials::key_file(file))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn uploads_go_up_in_pieces_where_that_is_asked_for() {
        let key = tempfile::NamedTempFile::new().unwrap();
        let usual = ["source", "--key-file", key.path().to_str().unwrap()];
        for (further, resumable) in [(&[][..], false), (&["--resumable"], true)] {
            let command = Command::try_parse_from(usual.iter().chain(further)).unwrap();
            assert_eq!(command.arguments.settings("billing").unwrap().resumable, resumable);
        }
    }
}
