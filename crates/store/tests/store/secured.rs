//! A real Postgres that takes connections over TLS only.

use devservers::{Postgres, PostgresOptions};
use domain::Secret;
use store::{Settings, Store, StoreError};
use testkit::{Issued, TestAuthority};

use crate::support::settings;

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_server_is_trusted_that_has_a_certificate_of_the_authority_in_the_url() {
    let (authority, stranger) = (TestAuthority::new().unwrap(), TestAuthority::new().unwrap());
    let Issued { certificate, key, .. } = authority.issue("database").unwrap();
    let options =
        PostgresOptions { fsync: false, tls: Some([certificate, key]), ..PostgresOptions::default() };
    let postgres = Postgres::start(options).await.unwrap();
    let through = |authority: &TestAuthority| {
        let url = format!(
            "{}?sslmode=verify-full&sslrootcert={}",
            postgres.url(),
            authority.certificate().display()
        );
        Store::connect(Settings { url: Secret::from(url), ..settings("") })
    };

    let store = through(&authority);
    store.migrate().await.unwrap();
    store.check().await.unwrap();

    let refused = through(&stranger).check().await;
    assert!(
        matches!(&refused, Err(StoreError::Unavailable { reason }) if reason.contains("certificate verify failed")),
        "{refused:?}"
    );
}
