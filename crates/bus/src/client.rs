//! What every Kafka client of ours shares: its log, and its access token.

use std::{
    error::Error,
    fs,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rdkafka::{
    ClientContext, client::OAuthToken, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError,
};

use crate::settings::KafkaSettings;

/// What the library says of settings that are experimental. We know.
const SETTINGS_WARNING: &str = "CONFWARN";

/// For how long a token is taken to hold once it was read; the client asks again a little earlier.
const TOKEN_KEPT: Duration = Duration::from_secs(75);

/// Writes the client's log into ours and reads the access token.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    token_file: Option<PathBuf>,
    principal: String,
}

impl Context {
    pub(crate) fn new(settings: &KafkaSettings) -> Self {
        Self {
            token_file: settings.token_file.clone(),
            principal: settings.username.clone().unwrap_or_default(),
        }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    /// The client calls every lost connection an error, and mends it by itself: to us that is a warning.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            _ if facility == SETTINGS_WARNING => {
                tracing::debug!(kafka.facility = facility, "Kafka client: {message}");
            }
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                tracing::warn!(kafka.facility = facility, "Kafka client: {message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(kafka.facility = facility, "Kafka client: {message}");
            }
            RDKafkaLogLevel::Debug => {
                tracing::debug!(kafka.facility = facility, "Kafka client: {message}");
            }
        }
    }

    /// Each of these is in the log above too, or reaches whoever sent the record.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = %error, "Kafka client reports: {reason}");
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let file = self.token_file.as_ref().ok_or("kafka.token_file is not set")?;
        let token = fs::read_to_string(file)?.trim().to_owned();
        let lifetime = SystemTime::now().duration_since(UNIX_EPOCH)? + TOKEN_KEPT;
        Ok(OAuthToken {
            token,
            principal_name: self.principal.clone(),
            lifetime_ms: i64::try_from(lifetime.as_millis())?,
        })
    }
}

impl ConsumerContext for Context {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_token_file_is_read_again() {
        let file = std::env::temp_dir().join(format!("bus-token-{}", std::process::id()));
        let context = Context { token_file: Some(file.clone()), principal: "exports".to_owned() };
        for token in ["first", "second"] {
            fs::write(&file, format!("{token}\n")).unwrap();
            let read = context.generate_oauth_token(None).unwrap();
            assert_eq!((read.token.as_str(), read.principal_name.as_str()), (token, "exports"));
        }
        fs::remove_file(&file).unwrap();
        assert!(context.generate_oauth_token(None).is_err());
    }
}
