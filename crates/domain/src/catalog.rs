//! Which applications and resources may be asked for.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::{ApplicationName, ResourceName};

/// The applications and resources that this installation knows.
#[derive(Debug, Clone, Default)]
pub struct Catalog(BTreeMap<ApplicationName, BTreeSet<ResourceName>>);

/// An application or a resource that is not in the catalog (S0-42).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Payload does not match Configured Exports")]
pub struct CatalogError;

impl Catalog {
    /// Looks up a source by the names a customer gave.
    ///
    /// # Errors
    /// [`CatalogError`] unless the application is known and has the resource.
    pub fn find(
        &self,
        application: &str,
        resource: &str,
    ) -> Result<(ApplicationName, ResourceName), CatalogError> {
        let application = ApplicationName::parse(application).map_err(|_| CatalogError)?;
        let resource = ResourceName::parse(resource).map_err(|_| CatalogError)?;
        let (application, resources) = self.0.get_key_value(&application).ok_or(CatalogError)?;
        let resource = resources.get(&resource).ok_or(CatalogError)?;
        Ok((application.clone(), resource.clone()))
    }
}

impl FromIterator<(ApplicationName, BTreeSet<ResourceName>)> for Catalog {
    fn from_iter<I: IntoIterator<Item = (ApplicationName, BTreeSet<ResourceName>)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}
