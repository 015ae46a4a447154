//! Bodies: read within bounds, answered whole or piece by piece.

use std::{convert::Infallible, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use tokio::sync::mpsc;

use crate::{Failure, limits};

/// What we answer with. It cannot fail: a stream that breaks ends with an error event instead.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// The pieces that come through a channel, the first of them at hand.
pub(crate) fn pieces(receiver: mpsc::Receiver<Bytes>) -> Body {
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        Some((Ok(Frame::data(piece)), receiver))
    });
    StreamBody::new(stream).boxed_unsync()
}

/// Keeps `what` until the body is read or dropped.
pub(crate) fn holding(body: Body, what: impl Send + 'static) -> Body {
    body.map_frame(move |frame| {
        let _held = &what;
        frame
    })
    .boxed_unsync()
}

/// Reads a request, at most [`limits::REQUEST_BYTES`] of it, within `wait`.
pub(crate) async fn read<B>(body: B, wait: Duration) -> Result<Bytes, Failure>
where
    B: HttpBody<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let mut read = BytesMut::new();
    let all = async {
        while let Some(frame) = body.as_mut().frame().await {
            let frame = frame.map_err(|_| Failure::invalid("the request ended before its end"))?;
            if let Some(data) = frame.data_ref() {
                if read.len() + data.len() > limits::REQUEST_BYTES {
                    return Err(Failure::new(
                        "too_large",
                        format!(
                            "the request is larger than {} MiB: send less of the conversation",
                            limits::REQUEST_BYTES >> 20
                        ),
                    ));
                }
                read.extend_from_slice(data);
            }
        }
        Ok(())
    };
    match tokio::time::timeout(wait, all).await {
        Ok(result) => result.map(|()| read.freeze()),
        Err(_) => Err(Failure::invalid("the request was not sent in time")),
    }
}
