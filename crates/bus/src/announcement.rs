//! Announcements of archives (contract page 2): what the topic's records say.

mod parse;
mod settings;

pub use parse::{Announced, InvalidAnnouncement, parse_announcement};
pub use settings::{AnnounceProfile, AnnounceSettings, InvalidAnnounceSettings};
