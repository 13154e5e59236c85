//! The topic of announcements, and which of its records are whose.

use domain::{ByteSize, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Section `[announce]`: the topic that archives are announced in, and how ours and those for us are told from
/// all the others.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnnounceSettings {
    /// The topic.
    pub topic: String,
    /// Value of the Kafka header `service` of the records that we send.
    pub produce_service: String,
    /// Value of the Kafka header `service` of the records that are for us. It must be another one, or we would
    /// fetch what we have announced ourselves.
    pub consume_service: String,
    /// Whether `account` and `principal` are sent as integers (`seed`) or as strings (`ingress`).
    pub profile: AnnounceProfile,
    /// The consumer group that shares the records.
    pub group: String,
    /// The topic of records that could not be used.
    pub dead_letter_topic: String,
    /// Largest record for `dead_letter_topic`; must not be more than its `max.message.bytes`, and should be some
    /// KiB more than that of `topic`, because the reason is added.
    pub max_message_bytes: ByteSize,
    /// Records whose Kafka timestamp is older are not fetched any more; without it all of them are.
    pub max_age: Option<Period>,
}

/// See [`AnnounceSettings::profile`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnnounceProfile {
    /// As the schema has it.
    #[default]
    Seed,
    /// As the field has it.
    Ingress,
}

impl Default for AnnounceSettings {
    fn default() -> Self {
        Self {
            topic: "platform.upload.announce".to_owned(),
            produce_service: "exports".to_owned(),
            consume_service: "exports-intake".to_owned(),
            profile: AnnounceProfile::default(),
            group: "exports-intake".to_owned(),
            dead_letter_topic: "platform.upload.announce.dlq".to_owned(),
            max_message_bytes: ByteSize::from_kib(1024 + 16),
            max_age: None,
        }
    }
}

/// Names that do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnnounceSettings {
    /// We would fetch what we have announced ourselves.
    #[error(
        "announce.consume_service and announce.produce_service must differ: else exports would be fed back"
    )]
    SameService,
    /// Dead letters would be read as announcements.
    #[error("announce.dead_letter_topic and announce.topic must differ: else dead letters would be fetched")]
    SameTopic,
    /// Records without the header would be ours.
    #[error("announce.consume_service and announce.group must not be empty")]
    Empty,
}

impl AnnounceSettings {
    /// Whether what is for us can be told from what we send.
    ///
    /// # Errors
    /// [`InvalidAnnounceSettings`].
    pub fn check(&self) -> Result<(), InvalidAnnounceSettings> {
        if self.consume_service.is_empty() || self.group.is_empty() {
            return Err(InvalidAnnounceSettings::Empty);
        }
        if self.consume_service == self.produce_service {
            return Err(InvalidAnnounceSettings::SameService);
        }
        if self.dead_letter_topic == self.topic {
            return Err(InvalidAnnounceSettings::SameTopic);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_send_must_not_be_for_us() {
        assert_eq!(AnnounceSettings::default().check(), Ok(()));
        let same = AnnounceSettings { consume_service: "exports".to_owned(), ..AnnounceSettings::default() };
        assert_eq!(same.check(), Err(InvalidAnnounceSettings::SameService));
        let same =
            AnnounceSettings { dead_letter_topic: "t".into(), topic: "t".into(), ..Default::default() };
        assert_eq!(same.check(), Err(InvalidAnnounceSettings::SameTopic));
        let none = AnnounceSettings { consume_service: String::new(), ..AnnounceSettings::default() };
        assert_eq!(none.check(), Err(InvalidAnnounceSettings::Empty));
    }
}
