//! The dependency rule, held against what `cargo` knows: dependencies point inward, adapters and services
//! do not know each other, and a vendor's crate stays in one crate of ours.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

const CORE: [&str; 3] = ["archive", "domain", "spreadsheet"];
const ADAPTERS: [&str; 6] = ["access", "blobs", "bus", "fetch", "service", "store"];

/// Between services and adapters: what several services do with several adapters.
const JOINTS: [&str; 1] = ["receive"];

/// Free to all: they are how Rust says a thing, not how a vendor does it.
const FACADES: [&str; 17] = [
    "anyhow",
    "bytes",
    "chrono",
    "futures-util",
    "schemars",
    "serde",
    "serde_json",
    "sha2",
    "tempfile",
    "thiserror",
    "tokio",
    "tokio-util",
    "toml",
    "tracing",
    "utoipa",
    "uuid",
    "clap",
];

/// Vendors' crates and where they live. One that is not here may live anywhere, but in one place.
const HOMES: [(&str, &[&str]); 27] = [
    ("actix-cors", &["service"]),
    ("actix-http", &["service"]),
    ("actix-service", &["service"]),
    ("actix-web", &["internal-api", "public-api", "service"]),
    ("base64", &["access", "bus", "internal-api"]),
    ("cloudevents-sdk", &["bus"]),
    ("config", &["service"]),
    ("crc32fast", &["archive"]),
    ("diesel", &["store"]),
    ("openssl-sys", &["store"]),
    ("diesel_migrations", &["store"]),
    ("fail", &["service", "store"]),
    ("flate2", &["archive"]),
    ("governor", &["service"]),
    ("humantime", &["domain"]),
    ("ipnet", &["fetch"]),
    ("jsonschema", &["bus"]),
    ("jsonwebtoken", &["access"]),
    ("libdeflater", &["archive"]),
    ("object_store", &["blobs"]),
    ("percent-encoding", &["access"]),
    ("prometheus", &["service"]),
    ("r2d2", &["store"]),
    ("rdkafka", &["bus"]),
    ("reqwest", &["access", "fetch"]),
    ("subtle", &["access"]),
    ("tracing-subscriber", &["service"]),
];

fn workspace() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let mut command = MetadataCommand::new();
    command.manifest_path(manifest).no_deps().other_options(["--offline".to_owned()]);
    command.exec().expect("cargo tells what the workspace holds")
}

/// The first folder below the workspace's root: `clients`, `crates`, `services`, `examples`, `tools`.
fn area<'a>(workspace: &Metadata, package: &'a Package) -> &'a str {
    let path = package.manifest_path.strip_prefix(&workspace.workspace_root);
    path.expect("a member lies in the workspace").iter().next().expect("and has a folder")
}

/// What `package` is built from; tests may use more.
fn dependencies(package: &Package) -> BTreeSet<&str> {
    let built_in =
        package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
    built_in.map(|dependency| dependency.name.as_str()).collect()
}

/// Our crates that `package` may be built from.
fn allowed(area: &str, package: &str, services: &BTreeSet<&str>) -> BTreeSet<String> {
    let names: Vec<&str> = match (area, package) {
        ("crates", "testkit") => vec!["devservers"],
        // It makes the topic, as an operator would.
        ("tools", "launcher") => vec!["bus", "devservers"],
        ("crates", name) if ADAPTERS.contains(&name) => CORE.to_vec(),
        ("crates", name) if JOINTS.contains(&name) => [ADAPTERS.as_slice(), &CORE].concat(),
        ("services", "standalone") => {
            services.iter().copied().chain(JOINTS).chain(ADAPTERS).chain(CORE).chain(["devservers"]).collect()
        }
        // Not a service but the tests of all of them.
        ("e2e", _) => {
            let inward = JOINTS.into_iter().chain(ADAPTERS).chain(CORE);
            services.iter().copied().chain(inward).chain(["standalone", "testkit"]).collect()
        }
        ("services", _) => [JOINTS.as_slice(), &ADAPTERS, &CORE].concat(),
        // Programs of other people: they know the platform by its public surfaces, and our library for those.
        ("examples", _) => vec!["export-source"],
        // Clients among them: they know the public surfaces and nothing of ours.
        _ => vec![],
    };
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn dependencies_point_inward() {
    let workspace = workspace();
    let packages = workspace.workspace_packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let services: BTreeSet<&str> = packages
        .iter()
        .filter(|package| area(&workspace, package) == "services" && package.name != "standalone")
        .map(|package| package.name.as_str())
        .collect();
    assert!(services.contains("public-api") && ours.is_superset(&CORE.into()), "{ours:?}");
    for package in packages {
        let allowed = allowed(area(&workspace, package), &package.name, &services);
        for used in dependencies(package).intersection(&ours) {
            assert!(allowed.contains(*used), "{} must not depend on {used}", package.name);
        }
    }
}

#[test]
fn a_vendors_crate_stays_in_one_crate_of_ours() {
    let workspace = workspace();
    let packages = workspace.workspace_packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &packages {
        // Clients, examples and tools are programs of their own, which know only public surfaces: they cannot
        // reach a vendor through our crates, and have vendors of their own.
        if !["crates", "services"].contains(&area(&workspace, package)) || package.name == "testkit" {
            continue;
        }
        for vendor in dependencies(package) {
            if !FACADES.contains(&vendor) && !ours.contains(vendor) {
                users.entry(vendor).or_default().insert(&package.name);
            }
        }
    }
    for (vendor, users) in users {
        match HOMES.iter().find(|(name, _)| *name == vendor) {
            Some((_, homes)) => {
                assert!(
                    users.iter().all(|user| homes.contains(user)),
                    "{vendor} lives in {homes:?}, not {users:?}"
                );
            }
            None => assert_eq!(users.len(), 1, "{vendor} is used by {users:?}: keep it in one"),
        }
    }
}
