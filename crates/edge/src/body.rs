//! Bodies on their way: passed on piece by piece as they come, with whatever must happen when they end.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::{lease::Held, pool::Lent};

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// A body that is being sent to us makes progress at least so often, while somebody wants it.
const SILENCE: Duration = Duration::from_secs(60);

/// What goes back to whoever asked.
#[derive(Debug)]
pub(crate) enum Reply {
    Whole(Full<Bytes>),
    Passing(Box<Passing>),
}

impl Reply {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Passing(body) => Pin::new(&mut **body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Passing(body) => body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Passing(body) => body.body.size_hint(),
        }
    }
}

/// The body of somebody's answer. Its connection goes back where it came from when the body has ended, and the agent
/// stays awake until then. It breaks off when whoever gets it may no longer.
#[derive(Debug)]
pub(crate) struct Passing {
    pub(crate) body: Incoming,
    pub(crate) lent: Option<Lent>,
    pub(crate) held: Option<Held>,
}

impl Body for Passing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(held) = &mut self.held
            && held.poll_over(context).is_ready()
        {
            return Poll::Ready(Some(Err("who asked may no longer".into())));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        // Whoever knows the length stops asking when it is there.
        let ended = frame.is_none() || self.body.is_end_stream();
        if ended && let Some(lent) = self.lent.take() {
            lent.give_back();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }
}

/// What somebody sends, on its way to an agent.
#[derive(Debug)]
pub(crate) struct Upload {
    body: Incoming,
    silence: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body, silence: None }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.silence = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + SILENCE)));
        ready!(silence.as_mut().poll(context));
        Poll::Ready(Some(Err("the body did not go on for a minute".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
