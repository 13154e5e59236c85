//! From the settings to what librdkafka is told.

use rdkafka::ClientConfig;

use crate::settings::{KafkaSettings, SaslMechanism};

/// Client properties on which the order and the single delivery of records rest. Nobody may set them.
const RESERVED_PROPERTIES: [&str; 19] = [
    "acks",
    "auto.offset.reset",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "group.id",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "message.send.max.retries",
    "message.timeout.ms",
    "partition.assignment.strategy",
    "queuing.strategy",
    "request.required.acks",
    "retries",
    "test.mock.num.brokers",
    "transactional.id",
];

/// Why `[kafka]` cannot be used as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKafkaSettings {
    /// No broker is named.
    #[error("kafka.brokers is empty")]
    NoBrokers,
    /// `SASL_…` needs a setting that is missing.
    #[error("kafka.{0} is needed with this kafka.security_protocol and kafka.sasl_mechanism")]
    Missing(&'static str),
    /// A certificate without its key, or a key without its certificate.
    #[error("kafka.certificate_file and kafka.key_file are needed together")]
    HalfCertificate,
    /// A property that is ours to set.
    #[error("kafka.properties may not set `{0}`: the delivery of records rests on it")]
    Reserved(String),
    /// A path that is not UTF-8, which librdkafka cannot take.
    #[error("kafka.{0} is not a UTF-8 path")]
    Path(&'static str),
    /// A period of zero that must not be.
    #[error("kafka.message_timeout must be at least 1ms")]
    NoTimeout,
    /// librdkafka refuses a value; the text is its own, without the value.
    #[error("Kafka client: {0}")]
    Refused(String),
}

impl KafkaSettings {
    /// The properties that every client has: producer, reader, administration.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, InvalidKafkaSettings> {
        if self.brokers.split(',').all(|broker| broker.trim().is_empty()) {
            return Err(InvalidKafkaSettings::NoBrokers);
        }
        if self.message_timeout.as_duration().as_millis() == 0 {
            return Err(InvalidKafkaSettings::NoTimeout);
        }
        let mut config = ClientConfig::new();
        for (name, value) in &self.properties {
            if RESERVED_PROPERTIES.contains(&name.as_str()) {
                return Err(InvalidKafkaSettings::Reserved(name.clone()));
            }
            config.set(name, value.expose());
        }
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            .set("security.protocol", self.security_protocol.as_str())
            // A broker that comes back is found within a second, and a dead address given up soon.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("socket.keepalive.enable", "true")
            // Sent at once: waiting for more bytes would add to the latency of each request.
            .set("socket.nagle.disable", "true");
        self.set_login(&mut config)?;
        self.set_tls(&mut config)?;
        Ok(config)
    }

    fn set_login(&self, config: &mut ClientConfig) -> Result<(), InvalidKafkaSettings> {
        if !self.security_protocol.logs_in() {
            return Ok(());
        }
        let mechanism = self.sasl_mechanism.ok_or(InvalidKafkaSettings::Missing("sasl_mechanism"))?;
        config.set("sasl.mechanism", mechanism.as_str());
        if mechanism == SaslMechanism::OauthBearer {
            self.token_file.as_ref().ok_or(InvalidKafkaSettings::Missing("token_file"))?;
            return Ok(());
        }
        let username = self.username.as_ref().ok_or(InvalidKafkaSettings::Missing("username"))?;
        let password = self.password.as_ref().ok_or(InvalidKafkaSettings::Missing("password"))?;
        config.set("sasl.username", username).set("sasl.password", password.expose());
        Ok(())
    }

    fn set_tls(&self, config: &mut ClientConfig) -> Result<(), InvalidKafkaSettings> {
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return Err(InvalidKafkaSettings::HalfCertificate);
        }
        for (setting, path, property) in [
            ("ca_file", &self.ca_file, "ssl.ca.location"),
            ("certificate_file", &self.certificate_file, "ssl.certificate.location"),
            ("key_file", &self.key_file, "ssl.key.location"),
        ] {
            if let Some(path) = path {
                config.set(property, path.to_str().ok_or(InvalidKafkaSettings::Path(setting))?);
            }
        }
        if let Some(password) = &self.key_password {
            config.set("ssl.key.password", password.expose());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(toml: &str) -> Result<KafkaSettings, toml::de::Error> {
        toml::from_str(toml)
    }

    #[test]
    fn defaults_need_no_settings() {
        let config = parse("").unwrap().client_config().unwrap();
        assert_eq!(config.get("bootstrap.servers"), Some("localhost:9092"));
        assert_eq!(config.get("security.protocol"), Some("plaintext"));
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(parse("broker = 'localhost:9092'").is_err());
    }

    #[test]
    fn a_login_over_tls_reaches_the_client() {
        let settings = parse(
            "security_protocol = 'SASL_SSL'\nsasl_mechanism = 'SCRAM-SHA-512'\nusername = 'exports'\n\
             password = 'secret'\nca_file = '/etc/kafka/ca.pem'\ncertificate_file = '/etc/kafka/client.pem'\n\
             key_file = '/etc/kafka/client.key'\nkey_password = 'other'",
        )
        .unwrap();
        let config = settings.client_config().unwrap();
        for (property, value) in [
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", "exports"),
            ("sasl.password", "secret"),
            ("ssl.ca.location", "/etc/kafka/ca.pem"),
            ("ssl.certificate.location", "/etc/kafka/client.pem"),
            ("ssl.key.location", "/etc/kafka/client.key"),
            ("ssl.key.password", "other"),
        ] {
            assert_eq!(config.get(property), Some(value), "{property}");
        }
    }

    #[test]
    fn a_login_names_what_is_missing() {
        let refusal = |toml: &str| parse(toml).unwrap().client_config().unwrap_err();
        assert_eq!(
            refusal("security_protocol = 'SASL_SSL'"),
            InvalidKafkaSettings::Missing("sasl_mechanism")
        );
        assert_eq!(
            refusal("security_protocol = 'SASL_SSL'\nsasl_mechanism = 'PLAIN'\nusername = 'u'"),
            InvalidKafkaSettings::Missing("password")
        );
        assert_eq!(
            refusal("security_protocol = 'SASL_PLAINTEXT'\nsasl_mechanism = 'OAUTHBEARER'"),
            InvalidKafkaSettings::Missing("token_file")
        );
        assert_eq!(refusal("key_file = '/k'"), InvalidKafkaSettings::HalfCertificate);
        assert_eq!(refusal("brokers = ' , '"), InvalidKafkaSettings::NoBrokers);
        assert_eq!(refusal("message_timeout = '0s'"), InvalidKafkaSettings::NoTimeout);
    }

    #[test]
    fn further_properties_are_passed_on_but_not_those_that_delivery_rests_on() {
        let settings = parse("[properties]\n'client.rack' = 'a'").unwrap();
        assert_eq!(settings.client_config().unwrap().get("client.rack"), Some("a"));
        let settings = parse("[properties]\nacks = '1'").unwrap();
        assert_eq!(settings.client_config().unwrap_err(), InvalidKafkaSettings::Reserved("acks".to_owned()));
    }

    #[test]
    fn secrets_do_not_show() {
        let settings = parse("password = 'hunter2'\n[properties]\n'sasl.password' = 'hunter2'").unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
