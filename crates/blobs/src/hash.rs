//! The SHA-256 of data that arrives in pieces, carried from one to the next.

use sha2::{
    Digest as _, Sha256,
    digest::common::hazmat::{SerializableState, SerializedState},
};

/// SHA-256 of some bytes, which can go on with more of them, also in another process.
#[derive(Debug, Clone, Default)]
pub struct HashState(pub(crate) Sha256);

/// Bytes that are no state of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the state of a SHA-256")]
pub struct InvalidHashState;

impl HashState {
    /// The state as bytes, which every version and every processor reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.serialize().to_vec()
    }

    /// Reads what [`HashState::to_bytes`] gave.
    ///
    /// # Errors
    /// When it did not.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidHashState> {
        let state = SerializedState::<Sha256>::try_from(bytes).map_err(|_| InvalidHashState)?;
        Sha256::deserialize(&state).map(Self).map_err(|_| InvalidHashState)
    }

    /// Goes on with `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far.
    pub fn digest(&self) -> [u8; 32] {
        self.0.clone().finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_goes_on_where_it_was_saved() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for cut in [0, 1, 63, 64, 65, 500, 1000] {
            let mut before = HashState::default();
            before.0.update(&bytes[..cut]);
            let mut after = HashState::from_bytes(&before.to_bytes()).unwrap();
            after.0.update(&bytes[cut..]);
            assert_eq!(after.digest(), <[u8; 32]>::from(Sha256::digest(&bytes)));
        }
    }

    #[test]
    fn other_bytes_are_no_state() {
        for bytes in [&[][..], &[1; 31], &[0xff; 104]] {
            assert_eq!(HashState::from_bytes(bytes).unwrap_err(), InvalidHashState);
        }
    }

    /// States are kept in the database while versions change.
    #[test]
    fn the_form_of_a_state_does_not_change() {
        let mut state = HashState::default();
        state.0.update(b"abc");
        let mut expected = Vec::new();
        let initial: [u32; 8] = [
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        expected.extend(initial.iter().flat_map(|word| word.to_le_bytes()));
        expected.extend(0_u64.to_le_bytes());
        expected.extend([3, b'a', b'b', b'c']);
        expected.resize(expected.len() + 60, 0);
        assert_eq!(state.to_bytes(), expected);
    }
}
