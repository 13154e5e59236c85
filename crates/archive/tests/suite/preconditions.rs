//! RFC 9110, section 13, for a resource with the entity tag `"abc"` and 100 bytes.

use archive::preconditions::{Answer, Conditions, EntityTag, Method};

const SIZE: u64 = 100;

fn current() -> EntityTag {
    EntityTag::strong("abc").unwrap()
}

fn get(conditions: &Conditions<'_>) -> Answer {
    conditions.evaluate(Method::Get, &current(), SIZE)
}

fn if_match(value: &str) -> Answer {
    get(&Conditions { if_match: vec![value.as_bytes()], ..Conditions::default() })
}

fn if_none_match(value: &str) -> Answer {
    get(&Conditions { if_none_match: vec![value.as_bytes()], ..Conditions::default() })
}

fn if_range(value: &str) -> Answer {
    let range = Some(&b"bytes=0-9"[..]);
    get(&Conditions { if_range: Some(value.as_bytes()), range, ..Conditions::default() })
}

#[test]
fn an_entity_tag_is_written_with_its_quotes() {
    assert_eq!(current().to_string(), r#""abc""#);
    assert_eq!(EntityTag::strong("").unwrap().to_string(), r#""""#);
}

#[test]
fn text_with_quotes_spaces_or_other_alphabets_is_no_entity_tag() {
    for text in ["a\"b", "a b", "a\n", "ä", "\u{7f}"] {
        assert!(EntityTag::strong(text).is_err(), "{text:?}");
    }
}

#[test]
fn without_conditions_the_whole_is_sent() {
    assert_eq!(get(&Conditions::default()), Answer::Whole);
}

#[test]
fn if_match_lets_pass_the_current_tag_among_others() {
    for value in [r#""abc""#, r#""x", "abc""#, r#""x","abc","y""#, r#" , ,"abc" ,"#, r#"W/"x", "abc""#, "*"] {
        assert_eq!(if_match(value), Answer::Whole, "{value}");
    }
}

#[test]
fn if_match_compares_strongly() {
    assert_eq!(if_match(r#"W/"abc""#), Answer::PreconditionFailed);
}

#[test]
fn if_match_fails_for_another_tag_or_none() {
    for value in [r#""x""#, r#""ABC""#, r#""ab", "c""#, r#""a,b""#, "", ","] {
        assert_eq!(if_match(value), Answer::PreconditionFailed, "{value}");
    }
}

#[test]
fn if_none_match_answers_not_modified_for_the_current_tag_strong_or_weak() {
    for value in [r#""abc""#, r#"W/"abc""#, r#""x", W/"abc""#, r#""x" , "abc", "y""#, "*"] {
        assert_eq!(if_none_match(value), Answer::NotModified, "{value}");
    }
}

#[test]
fn if_none_match_lets_pass_other_tags() {
    for value in [r#""x""#, r#""a", "b""#, r#""abc,""#, r#"w/"x""#, ""] {
        assert_eq!(if_none_match(value), Answer::Whole, "{value}");
    }
}

#[test]
fn a_condition_that_is_not_well_formed_holds_for_no_tag() {
    for value in [
        "abc",
        r#""abc"#,
        r#"abc""#,
        r#""abc" "abc""#,
        r#""abc", *"#,
        "**",
        r#""abc";"#,
        r#"w/"abc""#,
        r#"W/ "abc""#,
    ] {
        assert_eq!(if_match(value), Answer::PreconditionFailed, "{value}");
        assert_eq!(if_none_match(value), Answer::Whole, "{value}");
    }
    let binary = vec![&b"\"abc\", \"\x00\""[..]];
    assert_eq!(get(&Conditions { if_none_match: binary, ..Conditions::default() }), Answer::Whole);
}

#[test]
fn a_list_may_go_over_several_lines() {
    let lines = vec![&br#""x""#[..], &br#""abc""#[..]];
    let conditions = Conditions { if_none_match: lines.clone(), ..Conditions::default() };
    assert_eq!(get(&conditions), Answer::NotModified);
    assert_eq!(get(&Conditions { if_match: lines, ..Conditions::default() }), Answer::Whole);
}

#[test]
fn a_tag_may_hold_commas_and_bytes_beyond_ascii() {
    let tag = EntityTag::strong("a,b").unwrap();
    let value = vec![&b"\"\xe4\", \"a,b\""[..]];
    let conditions = Conditions { if_none_match: value, ..Conditions::default() };
    assert_eq!(conditions.evaluate(Method::Get, &tag, SIZE), Answer::NotModified);
}

#[test]
fn if_match_is_evaluated_before_if_none_match_and_both_before_the_range() {
    let failing = Conditions {
        if_match: vec![br#""x""#],
        if_none_match: vec![br#""abc""#],
        range: Some(b"bytes=0-9"),
        ..Conditions::default()
    };
    assert_eq!(get(&failing), Answer::PreconditionFailed);
    assert_eq!(get(&Conditions { if_match: vec![br#""abc""#], ..failing }), Answer::NotModified);
}

#[test]
fn a_range_is_sent_if_the_conditions_let_it_pass() {
    let conditions = Conditions {
        if_match: vec![br#""abc""#],
        if_none_match: vec![br#""x""#],
        if_range: Some(br#""abc""#),
        range: Some(b"bytes=90-"),
    };
    assert_eq!(get(&conditions), Answer::Part(90..100));
}

#[test]
fn a_range_past_the_end_is_not_satisfiable() {
    let conditions = Conditions { range: Some(b"bytes=100-"), ..Conditions::default() };
    assert_eq!(get(&conditions), Answer::RangeNotSatisfiable);
}

#[test]
fn a_range_past_the_end_of_another_version_gives_the_whole() {
    let conditions =
        Conditions { range: Some(b"bytes=100-"), if_range: Some(br#""old""#), ..Conditions::default() };
    assert_eq!(get(&conditions), Answer::Whole);
}

#[test]
fn if_range_wants_exactly_the_current_tag() {
    assert_eq!(if_range(r#""abc""#), Answer::Part(0..10));
    for value in [
        r#""x""#,
        r#"W/"abc""#,
        r#""abc", "x""#,
        "*",
        "",
        "abc",
        r#""abc"x"#,
        "Sat, 21 Nov 2026 08:50:33 GMT",
    ] {
        assert_eq!(if_range(value), Answer::Whole, "{value}");
    }
}

#[test]
fn if_range_without_a_range_means_nothing() {
    let conditions = Conditions { if_range: Some(br#""x""#), ..Conditions::default() };
    assert_eq!(get(&conditions), Answer::Whole);
}

#[test]
fn a_range_means_nothing_to_head() {
    for range in [&b"bytes=0-9"[..], &b"bytes=100-"[..]] {
        let conditions = Conditions { range: Some(range), ..Conditions::default() };
        assert_eq!(conditions.evaluate(Method::Head, &current(), SIZE), Answer::Whole);
    }
}

#[test]
fn conditions_hold_for_head_as_for_get() {
    let conditions = Conditions { if_none_match: vec![br#""abc""#], ..Conditions::default() };
    assert_eq!(conditions.evaluate(Method::Head, &current(), SIZE), Answer::NotModified);
    let conditions = Conditions { if_match: vec![br#""x""#], ..Conditions::default() };
    assert_eq!(conditions.evaluate(Method::Head, &current(), SIZE), Answer::PreconditionFailed);
}
