//! Lifecycle events against their schema, and as any reader of CloudEvents sees them.

use bus::{EventSettings, LifecycleEventSettings, LifecycleEvents};
use cloudevents::{AttributesReader as _, Event};
use domain::{
    ApplicationName, ExportFacts, ExportFormat, ExportStatus, LifecycleChange, LifecycleEvent, ResourceName,
    SourceCounts, SourceFacts,
};
use serde_json::Value;
use uuid::Uuid;

const EXAMPLE: &str = include_str!("../../../../schemas/events/export-lifecycle.example.json");

fn id(last: u128) -> Uuid {
    Uuid::from_u128(0x018c_c251_f400_7000_8000_0000_0000_0000 + last)
}

fn event(change: LifecycleChange) -> LifecycleEvent {
    LifecycleEvent {
        id: id(1).into(),
        time: "2024-01-01T00:10:00.25Z".parse().unwrap(),
        org_id: "3253334042".to_owned(),
        export_id: id(2).into(),
        change,
    }
}

fn facts(status: ExportStatus, sources: Option<SourceCounts>) -> ExportFacts {
    ExportFacts {
        format: ExportFormat::Csv,
        status,
        created_at: "2024-01-01T00:00:00Z".parse().unwrap(),
        expires_at: "2024-01-08T00:00:00Z".parse().unwrap(),
        sources,
    }
}

fn partial() -> LifecycleEvent {
    let sources = SourceCounts { total: 2, complete: 1, failed: 1 };
    event(LifecycleChange::Ended(facts(ExportStatus::Partial, Some(sources))))
}

fn source() -> SourceFacts {
    SourceFacts {
        id: id(3).into(),
        application: ApplicationName::parse("inventory").unwrap(),
        resource: ResourceName::parse("packages").unwrap(),
    }
}

fn events() -> LifecycleEvents {
    LifecycleEvents::new(&LifecycleEventSettings::default(), &EventSettings::default()).unwrap()
}

#[test]
fn the_published_example_is_what_is_sent() {
    let record = events().render(&partial()).unwrap();
    let example: Value = serde_json::from_str(EXAMPLE).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&record.payload).unwrap(), example);
    assert_eq!((record.topic.as_str(), record.key), ("platform.export.lifecycle", id(2).to_string()));
    assert_eq!(events().render(&partial()).unwrap().payload, record.payload, "byte for byte");
}

#[test]
fn every_change_has_its_type_and_keeps_to_the_schema() {
    let sources = |complete, failed| Some(SourceCounts { total: 1, complete, failed });
    let changes = [
        (LifecycleChange::Accepted(facts(ExportStatus::Pending, sources(0, 0))), "export.accepted"),
        (LifecycleChange::Ended(facts(ExportStatus::Complete, sources(1, 0))), "export.completed"),
        (LifecycleChange::Ended(facts(ExportStatus::Failed, sources(0, 1))), "export.failed"),
        (LifecycleChange::Expired(facts(ExportStatus::Running, None)), "export.expired"),
        (LifecycleChange::Deleted(facts(ExportStatus::Complete, None)), "export.deleted"),
        (
            LifecycleChange::SourceCompleted { source: source(), size_bytes: u64::MAX, stored_bytes: 0 },
            "source.completed",
        ),
        (LifecycleChange::SourceFailed { source: source(), error_code: -1 }, "source.failed"),
    ];
    for (change, name) in changes {
        let record = events().render(&event(change)).unwrap();
        let read: Event = serde_json::from_slice(&record.payload).unwrap();
        assert_eq!(read.ty(), format!("com.redhat.console.export-service.{name}"));
        assert_eq!(record.headers, [("type".to_owned(), read.ty().to_owned())]);
        let subject = format!("urn:redhat:subject:export-service:export:{}", id(2));
        assert_eq!(read.subject(), Some(subject.as_str()));
    }
}

#[test]
fn what_breaks_the_schema_is_refused_with_its_place() {
    let settings = LifecycleEventSettings { type_prefix: "com.example.sub".to_owned(), ..Default::default() };
    let broken = LifecycleEvents::new(&settings, &EventSettings::default()).unwrap();
    let refusal = with_cause(&broken.render(&partial()).unwrap_err());
    assert!(refusal.contains("breaks its schema: `/type`"), "{refusal}");
}

fn with_cause(error: &dyn std::error::Error) -> String {
    format!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default())
}
