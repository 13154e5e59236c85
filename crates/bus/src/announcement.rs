//! Announcements of archives (contract page 2): what the topic's records say, as others write and as we write them.

mod parse;
mod render;
mod settings;

pub use parse::{Announced, InvalidAnnouncement, parse_announcement};
pub use render::{AnnouncementError, Announcements};
pub use settings::{AnnounceProfile, AnnounceSettings, InvalidAnnounceSettings};
