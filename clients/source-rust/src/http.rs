//! HTTP clients.

use reqwest::{Certificate, Client, ClientBuilder};

/// A client for `url`. Where nothing is encrypted the machine's certificates are not read: an image without any has
/// no need of them, and no client could be made.
pub(crate) fn client_for(url: &str) -> ClientBuilder {
    let encrypted = url.trim_start().get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
    let builder = Client::builder();
    if encrypted { builder } else { builder.tls_certs_only(Vec::<Certificate>::new()) }
}
