//! Whoever sends a long body and is refused early still hears why.
//!
//! A connection that is closed while its peer is still sending is reset, and the answer that was on its way is lost with
//! it. So what is left of a body is taken and thrown away for a while, beside the answer.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::Request,
    http::header,
    middleware::Next,
    response::Response,
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

/// More than this is not taken: then the connection is closed all the same.
const MOST_BYTES: usize = 32 << 20;
const WITHIN: Duration = Duration::from_secs(10);

/// A body that can be had back from a handler that did not read it to its end.
struct Lent(Arc<Mutex<Option<Body>>>);

fn lock(body: &Mutex<Option<Body>>) -> MutexGuard<'_, Option<Body>> {
    body.lock().unwrap_or_else(PoisonError::into_inner)
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut lent = lock(&self.0);
        let Some(body) = lent.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            *lent = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

pub(super) async fn linger(request: Request, next: Next) -> Response {
    // Who waits to be told to go on with the body has not sent it.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let lent = Arc::new(Mutex::new(Some(body)));
    let theirs = Body::new(Lent(Arc::clone(&lent)));
    let response = next.run(Request::from_parts(parts, theirs)).await;
    // One that is still being read is not ours to take.
    if let Some(lent) = Arc::into_inner(lent)
        && let Some(left) = lent.into_inner().unwrap_or_else(PoisonError::into_inner)
    {
        tokio::spawn(tokio::time::timeout(WITHIN, throw_away(left)));
    }
    response
}

async fn throw_away(mut body: Body) {
    let mut taken = 0;
    while let Some(Ok(frame)) = body.frame().await {
        taken += frame.data_ref().map_or(0, Bytes::len);
        if taken > MOST_BYTES {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::StatusCode, middleware, routing::post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Sends so much, slowly enough to be answered in between, and gives the answer's head.
    async fn send(bytes: usize) -> std::io::Result<String> {
        let refuse = post(async || StatusCode::PAYLOAD_TOO_LARGE);
        let router = Router::new()
            .route("/", refuse)
            .layer(middleware::from_fn(linger));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let head =
            format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let piece = vec![b'x'; 64 << 10];
        for _ in 0..bytes / piece.len() {
            stream.write_all(&piece).await?;
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        server.abort();
        Ok(answer.lines().next().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn whoever_is_refused_early_hears_why() {
        for _ in 0..20 {
            let answer = send(8 << 20).await.expect("nobody hangs up on us");
            assert_eq!(answer, "HTTP/1.1 413 Payload Too Large");
        }
    }
}
