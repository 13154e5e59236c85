//! Somebody who asks for exports.

use std::sync::atomic::{AtomicU32, Ordering};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// A caller of the public API, known by a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// The organization.
    pub org_id: String,
    /// The account; empty for none.
    pub account: String,
    /// The name within the organization.
    pub username: String,
}

impl Customer {
    /// A user of that name, of the organization and account that all have who are made so.
    pub fn named(username: &str) -> Self {
        Self { org_id: "3340851".into(), account: "10001".into(), username: username.into() }
    }

    /// Somebody nobody else is in this process.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self::named(&format!("customer-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// What the gateway says about them.
    pub fn identity(&self) -> Value {
        json!({
            "account_number": self.account, "org_id": self.org_id, "internal": {"org_id": self.org_id},
            "type": "User", "user": {"username": self.username, "email": "someone@example.com"},
        })
    }

    /// The value of the x-rh-identity header.
    pub fn header(&self) -> String {
        identity_header(&self.identity())
    }
}

impl Default for Customer {
    fn default() -> Self {
        Self::new()
    }
}

/// The x-rh-identity header that says `identity`.
pub fn identity_header(identity: &Value) -> String {
    BASE64_STANDARD.encode(json!({"identity": identity, "entitlements": {}}).to_string())
}
