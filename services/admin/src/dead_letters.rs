//! `exports-admin dead-letters`: announcements that could not be used.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail};
use bus::{AnnounceSettings, DeadLetter, DeadLetters, KafkaSettings, read_dead_letter, reader::TopicReader};
use clap::{Args, Subcommand};

/// How long nothing must come for the topic to count as read to its end.
const SILENCE: Duration = Duration::from_secs(3);

/// What to do with dead letters.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists them: partition:offset, where the record was, and why it could not be used.
    List,
    /// Shows one with its headers and its value. It holds an identity, and a URL that may still work.
    Show {
        /// Its partition and offset, as `list` shows them.
        place: Place,
    },
    /// Sends records once more to where they were, as they were. The letters stay; sending a record again that
    /// was used meanwhile changes nothing.
    Replay(Replay),
}

/// Which ones.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Replay {
    /// These, as `list` shows them.
    places: Vec<Place>,
    /// All of them.
    #[arg(long)]
    all: bool,
}

/// `PARTITION:OFFSET` in the topic of dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    partition: i32,
    offset: i64,
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(partition, offset)| {
            Some(Self { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        });
        parsed.ok_or_else(|| format!("`{text}` is not PARTITION:OFFSET"))
    }
}

impl Place {
    fn is_of(self, letter: &DeadLetter) -> bool {
        (self.partition, self.offset) == (letter.partition, letter.offset)
    }
}

pub(crate) async fn run(
    kafka: &KafkaSettings,
    announce: &AnnounceSettings,
    command: Command,
) -> anyhow::Result<()> {
    match command {
        Command::List => list(kafka, announce).await,
        Command::Show { place } => show(kafka, announce, place).await,
        Command::Replay(Replay { places, all }) => replay(kafka, announce, (!all).then_some(places)).await,
    }
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
async fn list(kafka: &KafkaSettings, announce: &AnnounceSettings) -> anyhow::Result<()> {
    each(kafka, announce, async |letter| {
        let (topic, partition, offset) = &letter.origin;
        let (at, reason) = (format!("{}:{}", letter.partition, letter.offset), printable(&letter.reason));
        println!("{at}\t{topic}[{partition}]@{offset}\t{reason}");
        Ok(true)
    })
    .await
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
async fn show(kafka: &KafkaSettings, announce: &AnnounceSettings, place: Place) -> anyhow::Result<()> {
    let mut found = false;
    each(kafka, announce, async |letter| {
        if !place.is_of(&letter) {
            return Ok(true);
        }
        found = true;
        let (topic, partition, offset) = &letter.origin;
        println!("reason: {}", printable(&letter.reason));
        println!("origin: {topic}[{partition}]@{offset}");
        if letter.without_headers {
            println!("key, headers: too large to be kept; they are where the record was");
        }
        println!("key: {}", text(letter.key.as_deref()));
        for (name, value) in &letter.headers {
            println!("header {}: {}", printable(name), text(Some(value)));
        }
        if letter.without_value {
            println!("value: too large to be kept; it is where the record was");
        } else {
            println!("value: {}", text(letter.payload.as_deref()));
        }
        Ok(false)
    })
    .await?;
    if !found {
        bail!("there is no dead letter {}:{}", place.partition, place.offset);
    }
    Ok(())
}

/// Replays those at `places`, or all.
#[expect(clippy::print_stdout, reason = "the answer of a command")]
async fn replay(
    kafka: &KafkaSettings,
    announce: &AnnounceSettings,
    places: Option<Vec<Place>>,
) -> anyhow::Result<()> {
    // What is sent again may come back as another letter: only those are meant that are there now.
    let mut last = BTreeMap::new();
    each(kafka, announce, async |letter| {
        last.insert(letter.partition, letter.offset);
        Ok(true)
    })
    .await?;
    let letters = DeadLetters::new(kafka, announce.dead_letter_topic.clone(), announce.max_message_bytes)?;
    let (mut sent, mut left_out, mut elsewhere) = (0, 0, 0);
    each(kafka, announce, async |letter| {
        let is_new = last.get(&letter.partition).is_none_or(|last| letter.offset > *last);
        let is_meant = |places: &Vec<Place>| places.iter().any(|place| place.is_of(&letter));
        if is_new || !places.as_ref().is_none_or(is_meant) {
            return Ok(true);
        }
        if letter.without_value {
            left_out += 1;
            return Ok(true);
        }
        // Whoever can write letters could else have us write to any topic in our name.
        if letter.origin.0 != announce.topic {
            elsewhere += 1;
            return Ok(true);
        }
        letters.replay(&letter).await.context("a record was not sent again")?;
        sent += 1;
        Ok(true)
    })
    .await?;
    letters.close().await;
    println!("{sent} records were sent again");
    if left_out > 0 {
        println!("{left_out} have no value here: read them where they were");
    }
    if elsewhere > 0 {
        println!("{elsewhere} are not from announce.topic, `{}`: they were not sent", announce.topic);
    }
    let found = sent + left_out + elsewhere;
    if let Some(places) = places
        && places.len() > found
    {
        bail!("{} of them do not exist", places.len() - found);
    }
    Ok(())
}

/// Reads dead letters from the first one on, one at a time, until there is none or `visit` says false.
async fn each(
    kafka: &KafkaSettings,
    announce: &AnnounceSettings,
    mut visit: impl AsyncFnMut(DeadLetter) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let reader = TopicReader::open(kafka, &announce.dead_letter_topic).await?;
    while let Some(record) = reader.next(SILENCE).await? {
        if let Some(letter) = read_dead_letter(record)
            && !visit(letter).await?
        {
            break;
        }
    }
    Ok(())
}

/// Bytes for a terminal: strangers wrote them.
fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "(none)".to_owned(), |bytes| printable(&String::from_utf8_lossy(bytes)))
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
