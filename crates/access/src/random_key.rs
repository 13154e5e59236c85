//! New keys.

use domain::Secret;

/// The operating system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("no random key could be drawn: {0}")]
pub struct NoRandomness(getrandom::Error);

/// A key of 256 random bits, as 64 hexadecimal digits.
///
/// # Errors
/// [`NoRandomness`].
pub fn random_key() -> Result<Secret, NoRandomness> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(Secret::from(bytes.map(|byte| format!("{byte:02x}")).concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_keys_are_the_same() {
        let (one, other) = (random_key().unwrap(), random_key().unwrap());
        assert_eq!(one.expose().len(), 64);
        assert_ne!(one, other);
    }
}
