//! The keys that an issuer publishes (RFC 7517), and which of them a token is checked with.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// Keys for signatures, of the kinds that we check.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Jwk>);

/// The document at `jwks_uri`.
#[derive(Deserialize)]
pub(super) struct KeyDocument {
    keys: Vec<Value>,
}

impl From<KeyDocument> for Keys {
    /// Keys that we do not understand are passed over, as RFC 7517 (section 5) asks: a new kind must not lock
    /// out the old ones.
    fn from(document: KeyDocument) -> Self {
        Self(document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
    }
}

impl Keys {
    /// The key `kid` for signatures by `algorithm`. A token without a `kid` gets the only one there is: among
    /// several none is guessed.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let named = |key: &&Jwk| kid.is_none() || key.common.key_id.as_deref() == kid;
        let mut fitting = self.0.iter().filter(named).filter(|key| fits(key, algorithm));
        let (key, another) = (fitting.next()?, fitting.next());
        if another.is_some() { None } else { DecodingKey::from_jwk(key).ok() }
    }
}

/// Whether a key is one for signatures by `algorithm`.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let signs = key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let (named, kind) = match (algorithm, &key.algorithm) {
        (Algorithm::RS256, AlgorithmParameters::RSA(_)) => (KeyAlgorithm::RS256, true),
        (Algorithm::ES256, AlgorithmParameters::EllipticCurve(curve)) => {
            (KeyAlgorithm::ES256, curve.curve == EllipticCurve::P256)
        }
        _ => return false,
    };
    signs && kind && key.common.key_algorithm.is_none_or(|algorithm| algorithm == named)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rsa(kid: &str, more: &Value) -> Value {
        merged(json!({"kty": "RSA", "kid": kid, "n": "AQAB", "e": "AQAB"}), more)
    }

    fn merged(mut key: Value, more: &Value) -> Value {
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    fn keys(keys: Vec<Value>) -> Keys {
        KeyDocument { keys }.into()
    }

    #[test]
    fn a_key_is_chosen_by_its_id_among_those_for_signatures() {
        let curve = |name: &str| json!({"kty": "EC", "kid": name, "crv": name, "x": "AQAB", "y": "AQAB"});
        let keys = keys(vec![
            rsa("plain", &json!({})),
            rsa("sig", &json!({"use": "sig", "alg": "RS256"})),
            rsa("enc", &json!({"use": "enc"})),
            rsa("oaep", &json!({"alg": "RSA-OAEP"})),
            rsa("pss", &json!({"alg": "PS256"})),
            curve("P-256"),
            curve("P-384"),
        ]);
        let found = |kid, algorithm| keys.find(Some(kid), algorithm).is_some();
        assert!(found("plain", Algorithm::RS256) && found("sig", Algorithm::RS256));
        assert!(found("P-256", Algorithm::ES256));
        for other in ["enc", "oaep", "pss", "P-256", "unknown", ""] {
            assert!(!found(other, Algorithm::RS256), "{other}");
        }
        assert!(!found("P-384", Algorithm::ES256) && !found("sig", Algorithm::ES256));
        assert!(!found("sig", Algorithm::HS256) && !found("sig", Algorithm::PS256));
    }

    #[test]
    fn without_an_id_only_an_only_key_is_taken() {
        let one = keys(vec![rsa("a", &json!({})), rsa("b", &json!({"use": "enc"}))]);
        assert!(one.find(None, Algorithm::RS256).is_some());
        let two = keys(vec![rsa("a", &json!({})), rsa("b", &json!({}))]);
        assert!(two.find(None, Algorithm::RS256).is_none());
        let twice = keys(vec![rsa("a", &json!({})), rsa("a", &json!({}))]);
        assert!(twice.find(Some("a"), Algorithm::RS256).is_none(), "an id must name one key");
    }

    #[test]
    fn keys_that_are_not_understood_do_not_lock_out_the_others() {
        let strange = json!({"kty": "EC", "crv": "P-0", "kid": 7});
        let keys = keys(vec![strange, json!("nonsense"), rsa("a", &json!({}))]);
        assert!(keys.find(Some("a"), Algorithm::RS256).is_some());
    }
}
