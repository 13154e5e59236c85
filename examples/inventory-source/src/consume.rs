//! Requests from Kafka. An offset is committed only after its request was answered, so a request is never
//! lost; one that was answered shortly before a crash is answered twice, which the internal API welcomes.

use futures_util::{StreamExt as _, pin_mut};
use rdkafka::{
    ClientConfig, Message as _,
    consumer::{Consumer as _, StreamConsumer},
    message::{BorrowedMessage, Headers as _},
};
use tokio_util::sync::CancellationToken;

use crate::{answer::Answers, arguments::Arguments, request::Request};

/// Answers requests until `stop`.
///
/// # Errors
/// When the consumer cannot be made.
pub async fn run(arguments: &Arguments, answers: &Answers, stop: &CancellationToken) -> anyhow::Result<()> {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &arguments.brokers)
        .set("group.id", &arguments.group)
        .set("auto.offset.reset", "earliest")
        // Offsets are stored below, once answered, and committed from there every second.
        .set("enable.auto.offset.store", "false")
        .set("auto.commit.interval.ms", "1000")
        .set("allow.auto.create.topics", "false")
        .create()?;
    consumer.subscribe(&[&arguments.topic])?;
    tracing::info!(topic = arguments.topic, application = arguments.application, "waiting for requests");
    let messages = consumer.stream().take_until(stop.clone().cancelled_owned()).map(|message| async move {
        match message {
            Ok(message) => answer(&message, arguments, answers, stop).await.then_some(message),
            Err(error) => {
                tracing::warn!(%error, "Kafka");
                None
            }
        }
    });
    // `buffered` keeps the order: no offset is stored while an earlier request is not answered.
    let answered = messages.buffered(arguments.parallel.max(1));
    pin_mut!(answered);
    while let Some(message) = answered.next().await {
        let Some(message) = message else {
            if stop.is_cancelled() {
                break;
            }
            continue;
        };
        if let Err(error) = consumer.store_offset_from_message(&message) {
            // The partition went to another consumer, which will answer once more.
            tracing::debug!(%error, "offset not stored");
        }
    }
    tracing::info!("stopped");
    Ok(())
}

/// Whether the message is dealt with. One that is not ours, or not a request, is.
async fn answer(
    message: &BorrowedMessage<'_>,
    arguments: &Arguments,
    answers: &Answers,
    stop: &CancellationToken,
) -> bool {
    if !is_for(message, &arguments.application) {
        return true;
    }
    match Request::parse(message.payload().unwrap_or_default()) {
        Ok(request) if request.application == arguments.application => answers.answer(&request, stop).await,
        Ok(_) => true,
        Err(error) => {
            tracing::error!(%error, offset = message.offset(), "not a request event");
            true
        }
    }
}

/// By the header, so that the others' records need not be decoded.
fn is_for(message: &BorrowedMessage<'_>, application: &str) -> bool {
    message.headers().is_some_and(|headers| {
        headers
            .iter()
            .any(|header| header.key == "application" && header.value == Some(application.as_bytes()))
    })
}
