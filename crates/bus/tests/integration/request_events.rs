//! Request events against the contract: names of the rules (S0-…, X…) are those of the contract.

use std::collections::BTreeSet;

use bus::{EventError, EventSettings, Record, RequestEvents};
use chrono::{DateTime, TimeDelta, Utc};
use cloudevents::{AttributesReader as _, Event};
use domain::{ApplicationName, ByteSize, ExportFormat, RequestEvent, ResourceName};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use uuid::Uuid;

const EXAMPLE: &str = include_str!("../../../../schemas/events/resource-request.example.json");

const IDENTITY: &str = "eyJpZGVudGl0eSI6eyJvcmdfaWQiOiIzMjUzMzM0MDQyIiwidHlwZSI6IlVzZXIiLCJ1c2VyIjp7InVzZXJuYW1lIjoiamRvZSJ9fX0=";

fn id(last: u128) -> Uuid {
    Uuid::from_u128(0x018c_c251_f400_7000_8000_0000_0000_0000 + last)
}

fn event() -> RequestEvent {
    RequestEvent {
        id: id(1).into(),
        time: "2024-01-01T00:00:00Z".parse().unwrap(),
        export_id: id(2).into(),
        resource_id: id(3).into(),
        org_id: "3253334042".to_owned(),
        application: ApplicationName::parse("inventory").unwrap(),
        resource: ResourceName::parse("packages").unwrap(),
        format: ExportFormat::Csv,
        identity: IDENTITY.to_owned(),
        filters: json!({"section": "libs"}).as_object().cloned(),
    }
}

fn events() -> RequestEvents {
    RequestEvents::new(&EventSettings::default()).unwrap()
}

fn payload(record: &Record) -> Value {
    serde_json::from_slice(&record.payload).unwrap()
}

#[test]
fn an_event_is_rendered_as_the_contract_says_s0_2_to_s0_16_and_s0_52() {
    let record = events().render(&event()).unwrap();
    insta::assert_snapshot!(format!(
        "topic: {}\nkey: {}\nheaders: {:#?}\npayload: {}",
        record.topic,
        record.key,
        record.headers,
        String::from_utf8(record.payload).unwrap()
    ));
}

#[test]
fn the_published_example_is_what_is_sent() {
    let example: Value = serde_json::from_str(EXAMPLE).unwrap();
    assert_eq!(payload(&events().render(&event()).unwrap()), example);
}

#[test]
fn an_event_has_exactly_ten_top_level_keys() {
    let payload = payload(&events().render(&event()).unwrap());
    let keys: BTreeSet<_> = payload.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "$schema",
        "id",
        "source",
        "subject",
        "specversion",
        "type",
        "time",
        "redhatorgid",
        "dataschema",
        "data",
    ];
    assert_eq!(keys, BTreeSet::from(expected));
}

#[test]
fn data_is_nested_in_resource_request_only_x2() {
    let payload = payload(&events().render(&event()).unwrap());
    let data = payload["data"].as_object().unwrap();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["resource_request"]);
}

#[test]
fn filters_are_left_out_when_there_are_none_s0_16() {
    let without = RequestEvent { filters: None, ..event() };
    let payload = payload(&events().render(&without).unwrap());
    assert!(payload["data"]["resource_request"].get("filters").is_none());
}

#[test]
fn empty_filters_stay_an_empty_object() {
    let empty = RequestEvent { filters: Some(Map::new()), ..event() };
    let payload = payload(&events().render(&empty).unwrap());
    assert_eq!(payload["data"]["resource_request"]["filters"], json!({}));
}

#[test]
fn time_is_utc_in_whole_seconds_s0_8() {
    let late = RequestEvent { time: "2023-01-01T01:00:00.999999+01:00".parse().unwrap(), ..event() };
    assert_eq!(payload(&events().render(&late).unwrap())["time"], "2023-01-01T00:00:00Z");
}

#[test]
fn the_same_event_gives_the_same_bytes() {
    assert_eq!(events().render(&event()).unwrap(), events().render(&event()).unwrap());
}

#[test]
fn every_constant_is_a_setting() {
    let settings = EventSettings {
        topic: "topic".to_owned(),
        schema: "https://example.com/envelope.json".to_owned(),
        source: "urn:example:source".to_owned(),
        subject_prefix: "urn:example:".to_owned(),
        event_type: "com.example.request".to_owned(),
        data_schema: "https://example.com/data.json".to_owned(),
        max_message_bytes: ByteSize::from_kib(4),
    };
    let record = RequestEvents::new(&settings).unwrap().render(&event()).unwrap();
    let payload = payload(&record);
    assert_eq!(record.topic, "topic");
    assert_eq!(payload["$schema"], "https://example.com/envelope.json");
    assert_eq!(payload["source"], "urn:example:source");
    assert_eq!(payload["subject"], format!("urn:example:{}", id(2)));
    assert_eq!(payload["type"], "com.example.request");
    assert_eq!(payload["dataschema"], "https://example.com/data.json");
}

#[test]
fn a_reader_of_cloudevents_reads_it() {
    let record = events().render(&event()).unwrap();
    let read: Event = serde_json::from_slice(&record.payload).unwrap();
    assert_eq!(read.id(), id(1).to_string());
    assert_eq!(read.ty(), "com.redhat.console.export-service.request");
    assert_eq!(read.time(), Some(&event().time));
    assert_eq!(read.datacontenttype(), None);
}

#[test]
fn an_event_without_an_organization_is_refused_s0_9() {
    let nobody = RequestEvent { org_id: String::new(), ..event() };
    let Err(EventError::Schema(violation)) = events().render(&nobody) else { panic!("accepted") };
    assert_eq!(violation.place, "/redhatorgid");
    assert_eq!(violation.rule, "/properties/redhatorgid/minLength");
}

#[test]
fn an_event_without_an_identity_is_refused() {
    let nobody = RequestEvent { identity: String::new(), ..event() };
    let Err(EventError::Schema(violation)) = events().render(&nobody) else { panic!("accepted") };
    assert_eq!(violation.place, "/data/resource_request/x-rh-identity");
}

#[test]
fn constants_that_are_no_uris_are_refused() {
    let settings = EventSettings { schema: "no uri".to_owned(), ..EventSettings::default() };
    let refused = RequestEvents::new(&settings).unwrap().render(&event());
    let Err(EventError::Schema(violation)) = refused else { panic!("accepted") };
    assert_eq!(violation.place, "/$schema");
}

#[test]
fn a_time_that_four_digits_of_year_cannot_hold_is_refused() {
    let far = RequestEvent { time: DateTime::<Utc>::MAX_UTC, ..event() };
    let Err(EventError::Schema(violation)) = events().render(&far) else { panic!("accepted") };
    assert_eq!(violation.place, "/time");
}

#[test]
fn a_refusal_does_not_show_the_identity() {
    let settings = EventSettings { schema: "no uri".to_owned(), ..EventSettings::default() };
    let refused = RequestEvents::new(&settings).unwrap().render(&event()).unwrap_err();
    assert!(!format!("{refused:?}").contains(IDENTITY));
}

#[test]
fn an_event_that_the_topic_would_not_take_is_refused() {
    let size = events().render(&event()).unwrap().size_bytes();
    let limited = |bytes: usize| {
        let max_message_bytes = ByteSize::from_bytes(bytes as u64);
        let settings = EventSettings { max_message_bytes, ..EventSettings::default() };
        RequestEvents::new(&settings).unwrap().render(&event())
    };
    assert!(limited(size).is_ok());
    assert!(matches!(
        limited(size - 1),
        Err(EventError::TooLarge { size_bytes, max_bytes }) if size_bytes == size && max_bytes == size as u64 - 1
    ));
}

#[test]
fn filters_that_no_reader_could_read_are_refused() {
    let mut deep = json!({});
    for _ in 0..200 {
        deep = json!({ "deeper": deep });
    }
    let deep = RequestEvent { filters: deep.as_object().cloned(), ..event() };
    assert!(matches!(events().render(&deep), Err(EventError::Json(_))));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_filters_identity_and_names_render_a_valid_event(
        filters in prop::option::of(prop::collection::btree_map(any::<String>(), any_json(), 0..6)),
        identity in "\\PC{1,400}",
        org_id in ".{1,40}",
        application in "[^\\p{Cc}]{1,60}",
        resource in "[^\\p{Cc}]{1,60}",
        csv: bool,
        seconds in 0_i64..253_402_300_799,
    ) {
        let filters: Option<Map<String, Value>> = filters.map(|filters| filters.into_iter().collect());
        let event = RequestEvent {
            filters: filters.clone(),
            identity: identity.clone(),
            org_id,
            application: ApplicationName::parse(&application).unwrap(),
            resource: ResourceName::parse(&resource).unwrap(),
            format: if csv { ExportFormat::Csv } else { ExportFormat::Json },
            time: DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(seconds),
            ..event()
        };
        let record = events().render(&event).unwrap();
        let payload = payload(&record);
        let request = &payload["data"]["resource_request"];
        prop_assert_eq!(request["x-rh-identity"].as_str(), Some(identity.as_str()));
        prop_assert_eq!(request["application"].as_str(), Some(application.as_str()));
        prop_assert_eq!(request.get("filters").is_some(), filters.is_some());
        prop_assert_eq!(&record.headers[0].1, &application);
        prop_assert_eq!(&record.headers[1].1, &identity);
    }
}
