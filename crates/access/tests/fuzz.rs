//! The fuzz target of this crate, run for a moment on the bytes of a fixed seed (`fuzz/README.md`).

use proptest::{prelude::*, test_runner::RngSeed};

#[path = "../../../fuzz/checks/identity.rs"]
mod identity;

/// Bytes that get past the first branch: random ones between the words of an identity.
fn identities() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        r#"{"identity":{"#,
        r#""org_id":"1","#,
        r#""org_id":"","internal":{"org_id":"2"},"#,
        r#""account_number":"3","#,
        r#""type":"User","#,
        r#""type":"system","#,
        r#""user":{"username":"jdoe"}"#,
        r#""system":{"cn":"a\u0000b"}"#,
        "null,",
        "[",
        "}}",
        "%25",
        "%3A",
    ];
    let word = prop_oneof![
        9 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(word, 0..8).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, rng_seed: RngSeed::Fixed(3), ..ProptestConfig::default() })]

    #[test]
    fn no_identity_or_segment_breaks_the_rules(data in identities()) {
        identity::check(&data);
    }

    #[test]
    fn no_random_bytes_break_the_rules(data in prop::collection::vec(any::<u8>(), 0..200)) {
        identity::check(&data);
    }
}

#[test]
fn the_check_reaches_an_identity_that_is_let_in() {
    let json = br#"{"identity":{"org_id":"1","type":"User","user":{"username":"jdoe"}}}"#;
    identity::check(json);
    let header =
        "eyJpZGVudGl0eSI6eyJvcmdfaWQiOiIxIiwidHlwZSI6IlVzZXIiLCJ1c2VyIjp7InVzZXJuYW1lIjoiamRvZSJ9fX0";
    assert!(access::identity::decode(header).is_ok());
}
