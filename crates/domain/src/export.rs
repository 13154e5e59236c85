//! An export: what a customer asked for, and how far it has come.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::ExportId;

/// A stored text that none of the values it may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a known value")]
pub struct UnknownValue(pub String);

/// The format of every file of an export (S0-13).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// JSON text.
    Json,
    /// Comma-separated values, RFC 4180.
    Csv,
}

impl ExportFormat {
    /// The name on the wire, which is the file extension too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

impl FromStr for ExportFormat {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            other => Err(UnknownValue(other.to_owned())),
        }
    }
}

/// How far an export has come (S0-41).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportStatus {
    /// No source has answered yet.
    Pending,
    /// Some sources have answered.
    Running,
    /// All have answered, some with an error.
    Partial,
    /// All have delivered their data.
    Complete,
    /// All have answered with an error.
    Failed,
}

impl ExportStatus {
    /// The status of an export with so many sources in each state.
    pub const fn of(pending: u64, complete: u64, failed: u64) -> Self {
        match (pending, complete, failed) {
            (0, _, 0) => Self::Complete,
            (0, 0, _) => Self::Failed,
            (0, _, _) => Self::Partial,
            (_, 0, 0) => Self::Pending,
            (_, _, _) => Self::Running,
        }
    }

    /// Whether every source has answered.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Partial | Self::Complete | Self::Failed)
    }

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Partial => "partial",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for ExportStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ExportStatus {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pending" => Ok(Self::Pending),
            "running" => Ok(Self::Running),
            "partial" => Ok(Self::Partial),
            "complete" => Ok(Self::Complete),
            "failed" => Ok(Self::Failed),
            other => Err(UnknownValue(other.to_owned())),
        }
    }
}

/// An export without its sources: what a listing shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// The customer's name for it.
    pub name: String,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When its last source answered; None while one has not.
    pub completed_at: Option<DateTime<Utc>>,
    /// From this moment on it cannot be downloaded.
    pub expires_at: DateTime<Utc>,
    /// The format of its files.
    pub format: ExportFormat,
    /// How far it has come.
    pub status: ExportStatus,
}

impl Export {
    /// Whether it can no longer be downloaded at `now`. The moment of expiry itself is past it.
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at <= now
    }

    /// The name a download is saved under. It has no colon, which Windows forbids.
    pub fn archive_file_name(&self) -> String {
        format!("{}-{}.zip", self.created_at.format("%Y-%m-%dT%H%M%SZ"), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_runs_from_its_first_answer_to_its_last() {
        assert_eq!(ExportStatus::of(2, 0, 0), ExportStatus::Pending);
        assert_eq!(ExportStatus::of(1, 1, 0), ExportStatus::Running);
        assert_eq!(ExportStatus::of(1, 0, 1), ExportStatus::Running);
        assert_eq!(ExportStatus::of(0, 2, 0), ExportStatus::Complete);
        assert_eq!(ExportStatus::of(0, 1, 1), ExportStatus::Partial);
        assert_eq!(ExportStatus::of(0, 0, 2), ExportStatus::Failed);
    }

    #[test]
    fn every_status_survives_its_wire_name() {
        for status in ["pending", "running", "partial", "complete", "failed"] {
            assert_eq!(status.parse::<ExportStatus>().unwrap().as_str(), status);
        }
        assert!("expired".parse::<ExportStatus>().is_err());
    }
}
