//! Finding exports: nobody learns of another's.

use domain::{ListQuery, Owner, ids::ExportId};

use crate::support::{Fixture, owner};

/// Owners that differ from [`owner`]`("jdoe")` in one part each.
fn others() -> [Owner; 5] {
    let jdoe = || owner("jdoe");
    [
        Owner { account: "10002".to_owned(), ..jdoe() },
        Owner { account: String::new(), ..jdoe() },
        Owner { org_id: "3340852".to_owned(), ..jdoe() },
        Owner { username: "JDOE".to_owned(), ..jdoe() },
        // The same characters, divided differently.
        Owner { account: "100013340851".to_owned(), org_id: String::new(), username: "jdoe".to_owned() },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn to_anybody_else_an_export_does_not_exist() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 2).await;
    for other in others() {
        // Once without exports of his own, once with.
        for _ in 0..2 {
            assert_eq!(
                fixture.store.find_export(other.clone(), draft.id, fixture.now()).await.unwrap(),
                None
            );
            let page = fixture.store.list_exports(other.clone(), ListQuery::default()).await.unwrap();
            assert!(page.exports.iter().all(|export| export.id != draft.id));
            assert_eq!(page.count, page.exports.len() as u64);
            let download = fixture.store.find_download(other.clone(), draft.id, fixture.now()).await.unwrap();
            assert_eq!(download, store::Downloadable::NotFound);
            assert!(!fixture.store.delete_export(other.clone(), draft.id, fixture.now()).await.unwrap());
            fixture.create(&other, 1).await;
        }
    }
    assert!(fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_never_was_is_not_found() {
    let fixture = Fixture::new().await;
    assert_eq!(
        fixture.store.find_export(owner("jdoe"), ExportId::random(), fixture.now()).await.unwrap(),
        None
    );
    fixture.create(&owner("jdoe"), 1).await;
    assert_eq!(
        fixture.store.find_export(owner("jdoe"), ExportId::random(), fixture.now()).await.unwrap(),
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_export_does_not_exist_and_cannot_be_deleted_twice() {
    let fixture = Fixture::new().await;
    let (jdoe, now) = (owner("jdoe"), fixture.now());
    let draft = fixture.create(&jdoe, 1).await;
    assert!(fixture.store.delete_export(jdoe.clone(), draft.id, now).await.unwrap());
    assert!(!fixture.store.delete_export(jdoe.clone(), draft.id, now).await.unwrap());
    assert_eq!(fixture.store.find_export(jdoe.clone(), draft.id, fixture.now()).await.unwrap(), None);
    let page = fixture.store.list_exports(jdoe, ListQuery::default()).await.unwrap();
    assert_eq!((page.count, page.exports.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_export_is_found_until_it_is_purged() {
    let fixture = Fixture::new().await;
    let jdoe = owner("jdoe");
    let draft = fixture.create(&jdoe, 1).await;
    let after = draft.expires_at;
    assert_eq!(fixture.store.release_expired(after, after, 10).await.unwrap(), 1);
    assert!(fixture.store.find_export(jdoe.clone(), draft.id, fixture.now()).await.unwrap().is_some());
    assert_eq!(fixture.store.list_exports(jdoe.clone(), ListQuery::default()).await.unwrap().count, 1);
    assert_eq!(fixture.store.purge_expired(after, 10).await.unwrap(), 1);
    assert_eq!(fixture.store.find_export(jdoe.clone(), draft.id, fixture.now()).await.unwrap(), None);
    assert_eq!(fixture.store.list_exports(jdoe, ListQuery::default()).await.unwrap().count, 0);
}
