//! The `x-rh-identity` header (S0-20): who a gateway says is calling.
//!
//! The header is not signed. It may be trusted only because a gateway in front of the service sets it
//! and removes what clients send under that name.

use std::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use domain::Owner;
use serde_json::Value;

/// Longest header that is looked at, in bytes. Real ones have one or two KiB.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Longest account, organization and user name, in bytes; what is longer does not fit an index.
const MAX_PART_BYTES: usize = 255;

/// Gateways pad, some tools do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A caller of the customers' API.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whose exports the caller sees.
    pub owner: Owner,
    /// The header as received; request events carry it on.
    pub raw: String,
}

/// The raw header may hold more about a person than logs should.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// Why a header names nobody. Clients get the text after `Bad Request: `, as `text/plain` with
/// status 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The header is absent or empty, or was sent more than once: then no one of them is *the*
    /// identity. It is the extractor that finds the latter.
    #[error("missing x-rh-identity header")]
    Missing,
    /// More than [`MAX_HEADER_BYTES`].
    #[error("x-rh-identity header is too large")]
    TooLarge,
    /// Not base64 in the standard alphabet.
    #[error("unable to b64 decode x-rh-identity header")]
    NotBase64,
    /// Base64 of something else than JSON.
    #[error("x-rh-identity header does not contain valid JSON")]
    NotJson,
    /// Neither `identity.org_id` nor `identity.internal.org_id` is a usable text.
    #[error("x-rh-identity header has an invalid or missing org_id")]
    OrgId,
    /// `identity.account_number` is there, but not a usable text.
    #[error("x-rh-identity header has an invalid account_number")]
    AccountNumber,
    /// `identity.type` is absent or empty.
    #[error("x-rh-identity header is missing type")]
    MissingType,
    /// `identity.type` is none of User, `ServiceAccount` and System.
    #[error("x-rh-identity header has an unsupported type")]
    UnsupportedType,
    /// The part that names a caller of its type is absent, empty or not a usable text.
    #[error("x-rh-identity header has an invalid or missing username")]
    Username,
}

/// Reads the header's value: base64 (padded or not) of a JSON object `{"identity": {…}}`.
///
/// The organization is `org_id`, else `internal.org_id`; the account is `account_number`, empty when
/// absent; the user is `user.username`, `service_account.username` or `system.cn`, as `type` says in
/// upper or lower case. A usable text has 1 to 255 bytes, not all of them blank and none a control
/// character.
///
/// # Errors
/// [`IdentityError`] names the first of these that is not so.
pub fn decode(header: &str) -> Result<Identity, IdentityError> {
    let document = document(header)?;
    let owner = owner(&document["identity"])?;
    Ok(Identity { owner, raw: header.to_owned() })
}

/// The organization of an identity in the same form, whatever else it holds: announcements are asked for no more
/// (S2-4).
///
/// # Errors
/// [`IdentityError`].
pub fn org_id(header: &str) -> Result<String, IdentityError> {
    find_org_id(&document(header)?["identity"]).map(str::to_owned)
}

fn document(header: &str) -> Result<Value, IdentityError> {
    if header.is_empty() {
        return Err(IdentityError::Missing);
    }
    if header.len() > MAX_HEADER_BYTES {
        return Err(IdentityError::TooLarge);
    }
    let json = BASE64.decode(header).map_err(|_| IdentityError::NotBase64)?;
    serde_json::from_slice(&json).map_err(|_| IdentityError::NotJson)
}

fn find_org_id(identity: &Value) -> Result<&str, IdentityError> {
    let org_id = match &identity["org_id"] {
        Value::Null => &identity["internal"]["org_id"],
        Value::String(text) if text.is_empty() => &identity["internal"]["org_id"],
        org_id => org_id,
    };
    usable(org_id).ok_or(IdentityError::OrgId)
}

fn owner(identity: &Value) -> Result<Owner, IdentityError> {
    let org_id = find_org_id(identity)?;
    let account = match &identity["account_number"] {
        Value::Null => "",
        Value::String(text) if text.is_empty() => "",
        account => usable(account).ok_or(IdentityError::AccountNumber)?,
    };
    let username = usable(username(identity)?).ok_or(IdentityError::Username)?;
    Ok(Owner { account: account.to_owned(), org_id: org_id.to_owned(), username: username.to_owned() })
}

fn username(identity: &Value) -> Result<&Value, IdentityError> {
    let kind = match &identity["type"] {
        Value::Null => return Err(IdentityError::MissingType),
        Value::String(text) if text.is_empty() => return Err(IdentityError::MissingType),
        Value::String(text) => text.to_ascii_lowercase(),
        _ => return Err(IdentityError::UnsupportedType),
    };
    match kind.as_str() {
        "user" => Ok(&identity["user"]["username"]),
        "serviceaccount" => Ok(&identity["service_account"]["username"]),
        "system" => Ok(&identity["system"]["cn"]),
        _ => Err(IdentityError::UnsupportedType),
    }
}

fn usable(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    let usable = !text.trim().is_empty() && text.len() <= MAX_PART_BYTES && !text.contains(char::is_control);
    usable.then_some(text)
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn header(identity: &Value) -> String {
        BASE64_STANDARD.encode(json!({ "identity": identity }).to_string())
    }

    fn user() -> Value {
        json!({"account_number": "10001", "org_id": "3340851", "type": "User", "user": {"username": "jdoe"}})
    }

    fn refused(identity: &Value) -> String {
        format!("Bad Request: {}", decode(&header(identity)).unwrap_err())
    }

    #[test]
    fn s0_20_a_user_is_known_by_account_organization_and_username() {
        let header = header(&user());
        let identity = decode(&header).unwrap();
        let owner = Owner { account: "10001".into(), org_id: "3340851".into(), username: "jdoe".into() };
        assert_eq!(identity, Identity { owner, raw: header });
    }

    #[test]
    fn s0_20_padding_may_be_left_out() {
        for extra in ["", "a", "ab"] {
            let json = json!({"identity": user(), "extra": extra}).to_string();
            assert!(decode(&BASE64_STANDARD_NO_PAD.encode(&json)).is_ok());
            assert!(decode(&BASE64_STANDARD.encode(&json)).is_ok());
        }
    }

    #[test]
    fn s0_20_the_organization_falls_back_to_the_internal_one() {
        let mut identity = user();
        identity["org_id"] = Value::Null;
        identity["internal"] = json!({"org_id": "77"});
        assert_eq!(decode(&header(&identity)).unwrap().owner.org_id, "77");
        identity["org_id"] = json!("");
        assert_eq!(decode(&header(&identity)).unwrap().owner.org_id, "77");
    }

    /// The seed's identities, made valid; its `cn` is no UUID, and stays as it is.
    #[test]
    fn s2_4_an_identity_of_an_announcement_needs_its_organization_only() {
        let user = json!({"email": "foo@bar.com", "first_name": "John", "is_active": true, "is_internal": false,
            "is_org_admin": true, "last_name": "Doe", "locale": "en_US", "username": "john_doe"});
        let basic = json!({"account_number": "1234567", "auth_type": "basic-auth",
            "internal": {"auth_time": 1400, "org_id": "1234567"}, "type": "User", "user": user});
        let system = json!({"cn": "a259dd72-563a-17d-8e6e4-ca5f63e45824", "cert_type": "system"});
        let cert = json!({"account_number": "1234567", "auth_type": "cert-auth",
            "internal": {"auth_time": 0, "org_id": "1234567"}, "type": "System", "user": user, "system": system});
        for identity in
            [basic, cert.clone(), json!({"internal": {"org_id": "1234567"}}), json!({"org_id": "1234567"})]
        {
            assert_eq!(org_id(&header(&identity)).unwrap(), "1234567", "{identity}");
        }
        let entitlements = json!({"first_entitlement": {"is_entitled": true, "is_trial": false}});
        let document =
            json!({"identity": cert, "entitlements": entitlements, "metadata": {"reporter": "ingress"}});
        assert_eq!(org_id(&BASE64_STANDARD.encode(document.to_string())).unwrap(), "1234567");
        for nobody in [json!({}), json!({"internal": {"org_id": 7}}), json!({"internal": {"org_id": " "}})] {
            assert_eq!(org_id(&header(&nobody)), Err(IdentityError::OrgId));
        }
        assert_eq!(org_id("encoded-identity-info"), Err(IdentityError::NotBase64));
    }

    #[test]
    fn s0_20_each_type_has_its_own_username_whatever_its_case() {
        for (kind, part) in [
            ("USER", json!({"user": {"username": "caller"}})),
            ("serviceAccount", json!({"service_account": {"username": "caller"}})),
            ("system", json!({"system": {"cn": "caller"}})),
        ] {
            let mut identity = json!({"org_id": "1", "type": kind});
            identity.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
            let owner = decode(&header(&identity)).unwrap().owner;
            assert_eq!((owner.account.as_str(), owner.username.as_str()), ("", "caller"), "{kind}");
        }
    }

    #[test]
    fn s0_20_each_refusal_has_its_stable_sentence() {
        let with = |key: &str, value: Value| {
            let mut identity = user();
            identity[key] = value;
            refused(&identity)
        };
        assert_eq!(decode("").unwrap_err().to_string(), "missing x-rh-identity header");
        assert_eq!(decode("§").unwrap_err().to_string(), "unable to b64 decode x-rh-identity header");
        assert_eq!(
            decode(&BASE64_STANDARD.encode("{")).unwrap_err().to_string(),
            "x-rh-identity header does not contain valid JSON"
        );
        for org_id in [json!(null), json!(""), json!(" "), json!(7), json!("a\0"), json!("x".repeat(256))] {
            assert_eq!(
                with("org_id", org_id),
                "Bad Request: x-rh-identity header has an invalid or missing org_id"
            );
        }
        for account in [json!(7), json!("1\n2")] {
            assert_eq!(
                with("account_number", account),
                "Bad Request: x-rh-identity header has an invalid account_number"
            );
        }
        for kind in [json!(null), json!("")] {
            assert_eq!(with("type", kind), "Bad Request: x-rh-identity header is missing type");
        }
        for kind in [json!("Associate"), json!(1)] {
            assert_eq!(with("type", kind), "Bad Request: x-rh-identity header has an unsupported type");
        }
        for user in [json!(null), json!({}), json!({"username": ""}), json!({"username": "a\u{7f}"})] {
            assert_eq!(
                with("user", user),
                "Bad Request: x-rh-identity header has an invalid or missing username"
            );
        }
    }

    #[test]
    fn a_header_bomb_is_refused_before_it_is_decoded() {
        assert_eq!(decode(&"A".repeat(MAX_HEADER_BYTES + 1)), Err(IdentityError::TooLarge));
    }

    #[test]
    fn json_that_is_not_an_identity_names_nobody() {
        for json in ["null", "[]", "\"x\"", "{}", "{\"identity\":[]}", "{\"identity\":\"x\"}"] {
            assert_eq!(decode(&BASE64_STANDARD.encode(json)), Err(IdentityError::OrgId), "{json}");
        }
        let deep = "[".repeat(10_000);
        assert_eq!(decode(&BASE64_STANDARD.encode(deep)), Err(IdentityError::NotJson));
    }

    #[test]
    fn debug_output_does_not_show_the_header() {
        let header = header(&user());
        assert!(!format!("{:?}", decode(&header).unwrap()).contains(&header));
    }

    proptest! {
        #[test]
        fn no_text_makes_decoding_panic(text in "\\PC*") {
            let _ = decode(&text);
        }

        #[test]
        fn no_bytes_inside_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&BASE64_STANDARD.encode(bytes));
        }

        #[test]
        fn whoever_is_let_in_is_fully_named(org in ".{0,9}", name in ".{0,9}", account in ".{0,9}") {
            let identity = json!({
                "org_id": org, "account_number": account, "type": "User", "user": {"username": name},
            });
            if let Ok(Identity { owner, .. }) = decode(&header(&identity)) {
                prop_assert_eq!(&owner, &Owner { account, org_id: org, username: name });
                prop_assert!(!owner.org_id.is_empty() && !owner.username.is_empty());
                prop_assert!(![owner.account, owner.org_id, owner.username].concat().contains(char::is_control));
            }
        }
    }
}
