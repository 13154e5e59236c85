//! The ports that the services listen on.

use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::data_folder::{DataFolder, write_private};

/// A port on 127.0.0.1 for each socket of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listeners {
    pub(crate) public: u16,
    pub(crate) internal: u16,
    pub(crate) public_ops: u16,
    pub(crate) internal_ops: u16,
    pub(crate) dispatcher_ops: u16,
    pub(crate) reaper_ops: u16,
    pub(crate) intake_ops: u16,
    pub(crate) standalone_ops: u16,
}

impl Listeners {
    /// The ports used last time if they are free, else the usual ones (8080, 8081, 9000 and on) if those
    /// are, else any. Kept in `ports.json`, so that addresses outlive a restart.
    ///
    /// # Errors
    /// When no ports are free or the file cannot be written.
    pub(crate) fn choose(folder: &DataFolder) -> Result<Self> {
        let path = folder.entry("ports.json");
        let kept = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let usual = Self::from([8080, 8081, 9001, 9002, 9003, 9004, 9005, 9000]);
        let chosen = match [kept, Some(usual)].into_iter().flatten().find(Self::are_free) {
            Some(listeners) => listeners,
            None => Self::from(devservers::free_ports::<8>().context("looking for free ports")?),
        };
        if kept != Some(chosen) {
            write_private(&path, &serde_json::to_vec(&chosen)?)?;
        }
        Ok(chosen)
    }

    fn are_free(&self) -> bool {
        let Self {
            public,
            internal,
            public_ops,
            internal_ops,
            dispatcher_ops,
            reaper_ops,
            intake_ops,
            standalone_ops,
        } = *self;
        devservers::all_free(&[
            public,
            internal,
            public_ops,
            internal_ops,
            dispatcher_ops,
            reaper_ops,
            intake_ops,
            standalone_ops,
        ])
    }
}

impl From<[u16; 8]> for Listeners {
    fn from(ports: [u16; 8]) -> Self {
        let [
            public,
            internal,
            public_ops,
            internal_ops,
            dispatcher_ops,
            reaper_ops,
            intake_ops,
            standalone_ops,
        ] = ports;
        Self {
            public,
            internal,
            public_ops,
            internal_ops,
            dispatcher_ops,
            reaper_ops,
            intake_ops,
            standalone_ops,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_kept_while_they_are_free() {
        let temp = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(temp.path()).unwrap();
        let own = Listeners::from(devservers::free_ports::<8>().unwrap());
        write_private(&folder.entry("ports.json"), &serde_json::to_vec(&own).unwrap()).unwrap();
        assert_eq!(Listeners::choose(&folder).unwrap(), own);
        let _taken = std::net::TcpListener::bind(("127.0.0.1", own.dispatcher_ops)).unwrap();
        assert_ne!(Listeners::choose(&folder).unwrap(), own);
    }
}
