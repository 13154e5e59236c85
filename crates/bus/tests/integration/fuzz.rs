//! The fuzz target of filters, run for a moment on the bytes of a fixed seed (`fuzz/README.md`).

use proptest::{prelude::*, test_runner::RngSeed};

#[path = "../../../../fuzz/checks/filters.rs"]
mod filters;

/// Filters that are JSON: a tree of odd keys and values.
fn trees() -> impl Strategy<Value = String> {
    let words = [
        "null",
        "true",
        "-0.0",
        "1e308",
        "98765432109876543210",
        "0.1",
        r#""""#,
        r#""a\u0000b""#,
        r#""\ud83d\ude00""#,
        r#""</script>""#,
    ];
    let leaf = prop::sample::select(words.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(6, 40, 6, |inner| {
        let key = prop_oneof![Just(r#""a""#), Just(r#""""#), Just(r#""$schema""#), Just(r#""\u0000""#)];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec((key, inner), 0..6).prop_map(|pairs| {
                let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
                format!("{{{}}}", pairs.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(5), ..ProptestConfig::default() })]

    #[test]
    fn no_filters_break_the_rules(tree in trees()) {
        filters::check(tree.as_bytes());
        filters::check(format!(r#"{{"filter":{tree}}}"#).as_bytes());
    }

    #[test]
    fn no_random_bytes_break_the_rules(data in prop::collection::vec(any::<u8>(), 0..200)) {
        filters::check(&data);
    }
}

#[test]
fn filters_as_deep_as_json_may_be_are_sent_or_refused() {
    for depth in 100..130 {
        let (open, close) = (r#"{"a":"#.repeat(depth), "}".repeat(depth));
        filters::check(format!("{open}1{close}").as_bytes());
    }
}
