//! Whose an export is.

use serde::{Deserialize, Serialize};

/// The three parts that own an export (S0-20). Whoever differs in one of them is somebody else, to
/// whom the export does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The account number; empty for organizations that have none.
    pub account: String,
    /// The organization.
    pub org_id: String,
    /// The user, service account or system within the organization.
    pub username: String,
}
