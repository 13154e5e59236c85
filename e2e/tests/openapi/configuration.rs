//! The page of all settings.

use service::config::{Program, reference};

use crate::generated::assert_committed;

#[test]
fn the_page_of_all_settings_is_made_from_the_code() {
    let page = reference(&[
        Program::service::<public_api::Settings>("public-api"),
        Program::service::<internal_api::Settings>("internal-api"),
        Program::service::<dispatcher::Settings>("dispatcher"),
        Program::service::<expiry_reaper::Settings>("expiry-reaper"),
        Program::service::<intake::Settings>("intake"),
        Program::service::<standalone::Settings>("standalone"),
        Program::reading::<exports_admin::Settings>("exports-admin"),
    ]);
    assert_committed("docs/configuration.md", &page);
}
