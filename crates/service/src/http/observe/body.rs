//! The body of an answer, watched until it is gone.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

use super::Exchange;

/// Counts what is sent, and keeps the request's log line and figures until the end of it.
pub(in crate::http) struct ObservedBody {
    body: BoxBody,
    exchange: Exchange,
}

impl ObservedBody {
    pub(super) fn new(body: BoxBody, exchange: Exchange) -> Self {
        Self { body, exchange }
    }
}

impl MessageBody for ObservedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = &mut *self;
        // What the body logs belongs to the request.
        let _entered = this.exchange.span.enter();
        let item = Pin::new(&mut this.body).poll_next(cx);
        match &item {
            Poll::Ready(Some(Ok(chunk))) => this.exchange.bytes_out += chunk.len() as u64,
            Poll::Ready(Some(Err(error))) => {
                tracing::error!(error = %error, "an answer broke off");
            }
            Poll::Ready(None) => this.exchange.complete = true,
            Poll::Pending => {}
        }
        item
    }
}
