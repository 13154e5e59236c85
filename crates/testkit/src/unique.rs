//! Names that no other test has.

use std::hash::{BuildHasher, RandomState};

/// `prefix-` and 16 random hexadecimal digits: fit for topics, keys and, with `-` as `_`, databases.
pub fn unique_name(prefix: &str) -> String {
    // The standard library's only source of randomness: each state has keys of its own.
    let random = RandomState::new().hash_one(std::process::id());
    format!("{prefix}-{random:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_with_the_same_prefix_differ() {
        assert_ne!(unique_name("a"), unique_name("a"));
        assert!(unique_name("a").starts_with("a-"));
    }
}
