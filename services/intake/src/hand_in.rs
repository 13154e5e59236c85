//! One try: whether the archive may be handed in, fetching it, settling its source.

use access::identity;
use bus::Announced;
use domain::{ApplicationName, ByteSize, Resource, ResourceState};
use fetch::{FetchError, Target};
use receive::{DeliveryError, Place, UploadError};
use service::BoxError;
use store::{AnswerTarget, StoreError};
use tokio_util::sync::CancellationToken;

use crate::{archive_body::data_of, intake::Intake};

/// How much longer than the data its packed form may be, at most: what gzip adds where it saves nothing.
const PACKING_OVERHEAD: u64 = 64 * 1024;

/// How a try ends well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandedIn {
    /// The source is settled with the archive, or was before with the same bytes.
    Settled,
    /// The source is complete, and the archive cannot be had any more: nothing is missing.
    Known,
}

/// How a try fails.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It would fail again.
    Refused(String),
    /// The archive's server failed, which may pass.
    Theirs(String),
    /// Something of ours is away, which does pass.
    Ours(BoxError),
    /// The process stops, or the record is somebody else's by now.
    Interrupted,
}

impl Intake {
    /// Hands in what `announced` says.
    pub(crate) async fn hand_in(
        &self,
        announced: &Announced,
        interrupted: &CancellationToken,
    ) -> Result<HandedIn, Failure> {
        let target = self.fetcher.target(&announced.url).map_err(Failure::refused)?;
        let resource = self.find(announced).await?;
        self.check_host(&announced.application, &target).await?;
        let place = Place { export_id: announced.export_id, resource_id: announced.resource_id };
        let limit = self.limit(&resource)?;
        match resource.state {
            ResourceState::Failed(_) => Err(DeliveryError::<FetchError>::AlreadyProcessed.into()),
            ResourceState::Pending => {
                let delivered = match self.fetch(&target, limit, interrupted).await {
                    Ok(data) => self.receiver.deliver(place, resource.csv, data, limit).await,
                    Err(error) => Err(error.into()),
                };
                delivered.map_err(Failure::from)?;
                Ok(HandedIn::Settled)
            }
            ResourceState::Complete(known) => {
                let compared = match self.fetch(&target, limit, interrupted).await {
                    Ok(data) => self.receiver.expect_same(known.uploaded(), data, limit).await,
                    Err(error) => Err(error.into()),
                };
                match compared {
                    Ok(()) => Ok(HandedIn::Settled),
                    // Such as the same record, come again after its URL has ended.
                    Err(DeliveryError::Body(UploadError::Received(_))) => Ok(HandedIn::Known),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// The source, if the record's organization owns its export and its application is the record's.
    async fn find(&self, announced: &Announced) -> Result<Resource, Failure> {
        let org_id = identity::org_id(&announced.b64_identity)
            .map_err(|error| Failure::Refused(format!("b64_identity: {error}")))?;
        let (export_id, resource_id) = (announced.export_id, announced.resource_id);
        let found = self.store.find_answer_target(export_id, resource_id, self.clock.now()).await?;
        let owner = self.store.org_of_export(export_id).await?;
        match found {
            // To a stranger it is as if it were not there.
            AnswerTarget::NoExport => Err(Failure::Refused("the export is gone".to_owned())),
            _ if owner.as_deref() != Some(org_id.as_str()) => {
                Err(Failure::Refused("the record's organization does not own the export".to_owned()))
            }
            AnswerTarget::NoResource => Err(Failure::Refused("the export has no such source".to_owned())),
            AnswerTarget::Found { resource, .. } if resource.application != announced.application => {
                Err(Failure::Refused("the source belongs to another application".to_owned()))
            }
            AnswerTarget::Found { resource, .. } => Ok(*resource),
        }
    }

    /// Whether the application may hand in archives from there.
    async fn check_host(&self, application: &ApplicationName, target: &Target) -> Result<(), Failure> {
        if self.lists(application, target)? {
            return Ok(());
        }
        // It may have been listed a moment ago.
        self.registry.refresh().await?;
        if self.lists(application, target)? {
            return Ok(());
        }
        let host = target.host();
        Err(Failure::Refused(format!("the host `{host}` is not listed for the application")))
    }

    fn lists(&self, application: &ApplicationName, target: &Target) -> Result<bool, StoreError> {
        let known = self.registry.current()?;
        let listed = known.registry.application(application).map(|entry| &entry.announce_hosts);
        let matches = |host: &String| host.eq_ignore_ascii_case(target.host());
        Ok(listed.is_some_and(|hosts| hosts.iter().any(matches)))
    }

    /// The largest data of a source.
    fn limit(&self, resource: &Resource) -> Result<ByteSize, StoreError> {
        let known = self.registry.current()?;
        let application = known.registry.application(&resource.application);
        let own = application.and_then(|entry| entry.max_upload_bytes(&resource.resource));
        Ok(own.unwrap_or(self.settings.max_upload_bytes))
    }

    async fn fetch(
        &self,
        target: &Target,
        limit: ByteSize,
        interrupted: &CancellationToken,
    ) -> Result<crate::archive_body::Data, UploadError<FetchError>> {
        let max_bytes = limit.bytes().saturating_add(limit.bytes() / 1000).saturating_add(PACKING_OVERHEAD);
        let fetched = tokio::select! {
            biased;
            () = interrupted.cancelled() => return Err(UploadError::Interrupted),
            fetched = self.fetcher.get(target, max_bytes) => fetched.map_err(UploadError::Received)?,
        };
        data_of(fetched, interrupted.clone()).await
    }
}

impl Failure {
    fn refused(error: impl std::fmt::Display) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            // One row that cannot be read: waiting would be for ever.
            StoreError::Corrupt { .. } => Self::refused(error),
            _ => Self::Ours(error.into()),
        }
    }
}

impl From<DeliveryError<FetchError>> for Failure {
    fn from(error: DeliveryError<FetchError>) -> Self {
        match error {
            DeliveryError::Body(UploadError::Received(error)) if error.is_transient() => {
                Self::Theirs(error.to_string())
            }
            DeliveryError::NoExport
            | DeliveryError::NoResource
            | DeliveryError::AlreadyProcessed
            | DeliveryError::TooLarge(_)
            | DeliveryError::Body(
                UploadError::Received(_)
                | UploadError::NotGzip(_)
                | UploadError::Utf16
                | UploadError::TooLarge,
            ) => Self::refused(error),
            DeliveryError::Body(UploadError::Interrupted) => Self::Interrupted,
            DeliveryError::Store(error) => error.into(),
            DeliveryError::LeaseLost | DeliveryError::Storage(_) | DeliveryError::Journal(_) => {
                Self::Ours(error.into())
            }
        }
    }
}
