//! Certificates that only one test trusts.

use std::{fs, path::PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::unique::unique_name;

/// A certificate authority in a folder of its own.
pub struct TestAuthority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate with its private key, as PEM files.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Both, the key first, as Kafka reads them.
    pub both: PathBuf,
}

impl TestAuthority {
    /// A new authority that nobody knows yet.
    ///
    /// # Errors
    /// When there is no folder to be had.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::new([])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, unique_name("authority"));
        let (key, folder) = (KeyPair::generate()?, tempfile::tempdir()?);
        fs::write(folder.path().join("ca.pem"), params.self_signed(&key)?.pem())?;
        Ok(Self { issuer: Issuer::new(params, key), folder })
    }

    /// The certificate by which this authority is trusted, as a PEM file.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for a server on 127.0.0.1 or a client, with `name` as its common name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn issue(&self, name: &str) -> Result<Issued> {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let (certificate, key) = (params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem());
        let file = |kind: &str, text: &str| {
            let path = self.folder.path().join(format!("{name}.{kind}.pem"));
            fs::write(&path, text).map(|()| path)
        };
        Ok(Issued {
            certificate: file("certificate", &certificate)?,
            key: file("key", &key)?,
            both: file("both", &format!("{key}{certificate}"))?,
        })
    }
}
