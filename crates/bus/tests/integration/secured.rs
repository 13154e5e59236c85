//! A real Kafka that speaks TLS only and wants to know who is there.

use std::{fs, time::Duration};

use bus::{
    KafkaSettings, Producer, SaslMechanism, SecurityProtocol, SendError,
    reader::{StoredRecord, TopicReader},
    topics,
};
use devservers::{Kafka, KafkaOptions};
use domain::{ByteSize, Secret};
use testkit::{FaultProxy, Issued, TestAuthority};

use crate::support::{record, settings};

const TOPIC: &str = "requests";

/// A broker whose door for clients is secured as `further` says, and what a client needs to come that far.
struct Secured {
    _kafka: Kafka,
    _proxy: FaultProxy,
    authority: TestAuthority,
    door: KafkaSettings,
}

impl Secured {
    async fn start(protocol: SecurityProtocol, name: &str, further: &[(&str, &str)]) -> Self {
        let (proxy, authority) = (FaultProxy::bind().await.unwrap(), TestAuthority::new().unwrap());
        let Issued { both, .. } = authority.issue("broker").unwrap();
        let protocols = format!("CLIENT:PLAINTEXT,PROXIED:{name},CONTROLLER:PLAINTEXT");
        let (keystore, truststore) = (both.display().to_string(), authority.certificate());
        let truststore = truststore.display().to_string();
        let common = [
            ("listener.security.protocol.map", protocols.as_str()),
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.location", &keystore),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.location", &truststore),
        ];
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let kafka = Kafka::start(KafkaOptions {
            heap_mib: 256,
            proxy: Some(proxy.address()),
            settings: common.iter().chain(further).map(owned).collect(),
            ..KafkaOptions::default()
        });
        let kafka = kafka.await.unwrap();
        proxy.set_upstream(kafka.proxied_port());
        let inside = settings(&kafka.brokers(), Duration::from_secs(10));
        topics::ensure_topics(&inside, &[TOPIC], 1).await.unwrap();
        let door = KafkaSettings {
            security_protocol: protocol,
            ca_file: Some(authority.certificate()),
            ..settings(&proxy.address().to_string(), Duration::from_secs(3))
        };
        Self { _kafka: kafka, _proxy: proxy, authority, door }
    }
}

/// Sends a record with `settings` and reads it back with them.
async fn round_trip(settings: &KafkaSettings, number: usize) -> Result<Option<StoredRecord>, SendError> {
    let producer = Producer::new(settings, ByteSize::from_mib(1)).unwrap();
    let sent = producer.send_all(&[record(TOPIC, "k", number)]).await.remove(0);
    producer.close().await;
    sent?;
    let reader = TopicReader::open(settings, TOPIC).await.unwrap();
    Ok(reader.next(Duration::from_secs(30)).await.unwrap())
}

async fn assert_shut_out(settings: &KafkaSettings, who: &str) {
    let sent = round_trip(settings, 0).await;
    assert!(matches!(&sent, Err(error) if error.is_temporary()), "{who}: {sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_broker_and_client_know_each_other_by_their_certificates() {
    let secured = Secured::start(
        SecurityProtocol::Ssl,
        "SSL",
        &[("listener.name.proxied.ssl.client.auth", "required")],
    )
    .await;
    let known = |authority: &TestAuthority| {
        let Issued { certificate, key, .. } = authority.issue("client").unwrap();
        KafkaSettings { certificate_file: Some(certificate), key_file: Some(key), ..secured.door.clone() }
    };
    let client = known(&secured.authority);
    let stranger = TestAuthority::new().unwrap();

    assert_shut_out(&secured.door, "a client without a certificate").await;
    assert_shut_out(&known(&stranger), "a client of another authority").await;
    let elsewhere = KafkaSettings { ca_file: Some(stranger.certificate()), ..client.clone() };
    assert_shut_out(&elsewhere, "a broker of another authority").await;
    let open = KafkaSettings { security_protocol: SecurityProtocol::Plaintext, ..client.clone() };
    assert_shut_out(&open, "a client that does not speak TLS").await;

    let stored = round_trip(&client, 7).await.unwrap().unwrap();
    assert_eq!(stored.payload.unwrap(), b"7");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_logs_in_with_a_password_or_a_token() {
    let secured = Secured::start(
        SecurityProtocol::SaslSsl,
        "SASL_SSL",
        &[
            ("listener.name.proxied.sasl.enabled.mechanisms", "PLAIN,OAUTHBEARER"),
            (
                "listener.name.proxied.plain.sasl.jaas.config",
                "org.apache.kafka.common.security.plain.PlainLoginModule required user_exports=\"right\";",
            ),
            (
                "listener.name.proxied.oauthbearer.sasl.jaas.config",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
            ),
        ],
    )
    .await;
    let with_password = |password: &str| KafkaSettings {
        sasl_mechanism: Some(SaslMechanism::Plain),
        username: Some("exports".to_owned()),
        password: Some(Secret::from(password)),
        ..secured.door.clone()
    };
    assert_shut_out(&with_password("wrong"), "a wrong password").await;
    let stored = round_trip(&with_password("right"), 7).await.unwrap().unwrap();
    assert_eq!(stored.payload.unwrap(), b"7");

    // {"alg":"none"} and {"sub":"exports","iat":0,"exp":9999999999}: the broker's default takes such ones.
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJleHBvcnRzIiwiaWF0IjowLCJleHAiOjk5OTk5OTk5OTl9.";
    let token_file = secured.authority.certificate().with_file_name("token");
    fs::write(&token_file, token).unwrap();
    let with_token = KafkaSettings {
        sasl_mechanism: Some(SaslMechanism::OauthBearer),
        username: Some("exports".to_owned()),
        token_file: Some(token_file),
        ..secured.door.clone()
    };
    assert!(round_trip(&with_token, 8).await.unwrap().is_some());
}
