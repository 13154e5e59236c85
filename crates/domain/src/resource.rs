//! One source of an export, and the one answer it gets.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    csv_options::CsvOptions,
    ids::ResourceId,
    names::{ApplicationName, ResourceName},
};

/// The code of a source that nobody answered in time (S0-deadline).
const DEADLINE_PASSED: i64 = 504;

/// The code of a source whose stored data is gone.
const DATA_LOST: i64 = 500;

/// The code of a source whose data was larger than allowed (S0-48).
const TOO_LARGE: i64 = 413;

/// Longest message of a source's error, in bytes. Each status answer and each manifest of an export holds
/// the messages of all its sources, up to a thousand.
const MAX_MESSAGE_BYTES: usize = 1024;

/// What stands for the rest of a message that was cut.
const CUT: &str = "…";

/// Why a source failed, in the words of its application or of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceError {
    code: i64,
    message: String,
}

impl SourceError {
    /// An error with `code`, any integer but zero and by custom an HTTP status, and a message for the
    /// customer. Of a message over 1,024 bytes the beginning is kept, ended by "…"; NUL, which no database
    /// text can hold, becomes a space. The same message always gives the same error, so that a report that
    /// is repeated is known as one.
    pub fn new(code: i64, message: &str) -> Self {
        let mut kept = message.replace('\0', " ");
        if kept.len() > MAX_MESSAGE_BYTES {
            kept.truncate(kept.floor_char_boundary(MAX_MESSAGE_BYTES - CUT.len()));
            kept.push_str(CUT);
        }
        Self { code, message: kept }
    }

    /// The code.
    pub fn code(&self) -> i64 {
        self.code
    }

    /// The message, at most 1,024 bytes.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Nobody answered before the deadline, to a source that was asked so often.
    pub fn deadline_passed(tries: u32) -> Self {
        let unanswered = "the application did not answer in time";
        match tries {
            0 | 1 => Self::new(DEADLINE_PASSED, unanswered),
            _ => Self::new(DEADLINE_PASSED, &format!("{unanswered}, although it was asked {tries} times")),
        }
    }

    /// The upload was larger than `limit` allows; `limit` in the words that the caller saw.
    pub fn too_large(limit: &str) -> Self {
        Self::new(TOO_LARGE, &format!("payload is too large, max size: {limit}"))
    }

    /// The object that held the data is no longer in object storage.
    pub fn data_lost() -> Self {
        Self::new(DATA_LOST, "the stored data was lost")
    }
}

/// Where the delivered data of a source lies, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredData {
    /// The key of the gzip object.
    pub object_key: String,
    /// Length of the identity bytes.
    pub size_bytes: u64,
    /// Length of the gzip object.
    pub stored_bytes: u64,
    /// CRC-32 of the identity bytes.
    pub crc32: u32,
    /// SHA-256 of the identity bytes.
    pub sha256: [u8; 32],
    /// What was uploaded, where that is not what is stored: its CSV was changed on the way ([`CsvOptions`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_from: Option<UploadedData>,
}

/// The identity bytes of an upload: two deliveries are "the same" when their digest is (S0-47c).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedData {
    /// Their length.
    pub size_bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

impl StoredData {
    /// The digest in lower-case hexadecimal.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }

    /// The bytes as they were uploaded.
    pub fn uploaded(&self) -> UploadedData {
        self.changed_from.unwrap_or(UploadedData { size_bytes: self.size_bytes, sha256: self.sha256 })
    }
}

impl UploadedData {
    /// The digest in lower-case hexadecimal.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }
}

fn hex(digest: &[u8; 32]) -> String {
    use std::fmt::Write as _;

    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What a source application answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Its data, already stored.
    Data(StoredData),
    /// That it cannot deliver.
    Error(SourceError),
}

/// The state of a source. It leaves `Pending` once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceState {
    /// Not answered yet.
    Pending,
    /// Its data is stored.
    Complete(StoredData),
    /// It will deliver nothing.
    Failed(SourceError),
}

/// What an answer does to a source (S0-47c).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The source takes this state.
    Settles(ResourceState),
    /// The same answer was given before: nothing changes, and the caller is told it is well.
    Repeats,
    /// Another answer was given before: this one is refused.
    Conflicts,
}

impl ResourceState {
    /// The name on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Complete(_) => "complete",
            Self::Failed(_) => "failed",
        }
    }

    /// What `answer` does to a source in this state.
    pub fn settle(&self, answer: Answer) -> Settlement {
        match (self, answer) {
            (Self::Pending, Answer::Data(data)) => Settlement::Settles(Self::Complete(data)),
            (Self::Pending, Answer::Error(error)) => Settlement::Settles(Self::Failed(error)),
            (Self::Complete(stored), Answer::Data(data))
                if stored.uploaded().sha256 == data.uploaded().sha256 =>
            {
                Settlement::Repeats
            }
            (Self::Failed(known), Answer::Error(error)) if *known == error => Settlement::Repeats,
            (Self::Complete(_) | Self::Failed(_), _) => Settlement::Conflicts,
        }
    }
}

/// One source of an export.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// The application that answers for it.
    pub application: ApplicationName,
    /// What is asked of the application.
    pub resource: ResourceName,
    /// The application's own filters; None when the customer gave none.
    pub filters: Option<Map<String, Value>>,
    /// What is done to its CSV while it is stored.
    pub csv: CsvOptions,
    /// From this moment on its file is no longer in the archive; never after the export's expiry.
    pub expires_at: DateTime<Utc>,
    /// When it was asked last.
    pub asked_at: DateTime<Utc>,
    /// Its answer.
    pub state: ResourceState,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(fill: u8) -> StoredData {
        StoredData {
            object_key: format!("key/{fill}"),
            size_bytes: 3,
            stored_bytes: 23,
            crc32: 1,
            sha256: [fill; 32],
            changed_from: None,
        }
    }

    fn error(code: i64) -> SourceError {
        SourceError::new(code, "no")
    }

    #[test]
    fn a_pending_source_takes_the_first_answer() {
        let settled = ResourceState::Pending.settle(Answer::Data(data(1)));
        assert_eq!(settled, Settlement::Settles(ResourceState::Complete(data(1))));
        let settled = ResourceState::Pending.settle(Answer::Error(error(404)));
        assert_eq!(settled, Settlement::Settles(ResourceState::Failed(error(404))));
    }

    #[test]
    fn the_same_answer_again_changes_nothing() {
        let other_key = StoredData { object_key: "elsewhere".to_owned(), ..data(1) };
        assert_eq!(ResourceState::Complete(data(1)).settle(Answer::Data(other_key)), Settlement::Repeats);
        // What counts is what was uploaded, not what became of it.
        let changed = |fill| StoredData { changed_from: Some(data(7).uploaded()), ..data(fill) };
        assert_eq!(ResourceState::Complete(changed(1)).settle(Answer::Data(changed(2))), Settlement::Repeats);
        assert_eq!(ResourceState::Complete(changed(1)).settle(Answer::Data(data(1))), Settlement::Conflicts);
        assert_eq!(ResourceState::Failed(error(404)).settle(Answer::Error(error(404))), Settlement::Repeats);
    }

    #[test]
    fn another_answer_is_refused() {
        let complete = ResourceState::Complete(data(1));
        assert_eq!(complete.settle(Answer::Data(data(2))), Settlement::Conflicts);
        assert_eq!(complete.settle(Answer::Error(error(404))), Settlement::Conflicts);
        let failed = ResourceState::Failed(error(404));
        assert_eq!(failed.settle(Answer::Data(data(1))), Settlement::Conflicts);
        assert_eq!(failed.settle(Answer::Error(error(500))), Settlement::Conflicts);
    }

    #[test]
    fn a_long_message_is_cut_between_two_characters() {
        let longest = "x".repeat(1024);
        assert_eq!(SourceError::new(1, &longest).message(), longest);
        let cut = SourceError::new(1, &"ü".repeat(513));
        assert_eq!(cut.message(), format!("{}…", "ü".repeat(510)));
        assert_eq!(SourceError::new(1, cut.message()), cut);
    }

    #[test]
    fn a_source_that_was_asked_in_vain_says_how_often() {
        let messages = [1, 3].map(|tries| SourceError::deadline_passed(tries).message().to_owned());
        let once = "the application did not answer in time";
        assert_eq!(messages, [once.to_owned(), format!("{once}, although it was asked 3 times")]);
    }

    #[test]
    fn nul_in_a_message_becomes_a_space() {
        assert_eq!(SourceError::new(1, "a\0b").message(), "a b");
    }

    #[test]
    fn a_digest_is_written_as_64_hexadecimal_digits() {
        assert_eq!(data(0xab).sha256_hex(), "ab".repeat(32));
    }
}
