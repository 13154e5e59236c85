//! Keys of callers of whom nothing need be known but that they may call (S0-21).

use domain::KeyHash;
use subtle::{Choice, ConstantTimeEq as _};

/// The keys that open something. Without keys it opens to none.
#[derive(Debug, Clone, Default)]
pub struct AcceptedKeys(Vec<KeyHash>);

impl AcceptedKeys {
    /// The set of these keys.
    pub fn new(hashes: Vec<KeyHash>) -> Self {
        Self(hashes)
    }

    /// Whether `key` is one of them. It is compared with all of them, in constant time.
    pub fn accepts(&self, key: &[u8]) -> bool {
        let presented = KeyHash::of(key);
        let equals = |hash: &KeyHash| hash.as_bytes().ct_eq(presented.as_bytes());
        self.0.iter().fold(Choice::from(0), |known, hash| known | equals(hash)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s0_21_a_key_is_accepted_only_where_configured() {
        let keys = AcceptedKeys::new(vec![KeyHash::of(b"one"), KeyHash::of(b"two")]);
        assert!(keys.accepts(b"one") && keys.accepts(b"two"));
        assert!(!keys.accepts(b"three") && !keys.accepts(b""));
        assert!(!AcceptedKeys::default().accepts(b"one"));
    }
}
