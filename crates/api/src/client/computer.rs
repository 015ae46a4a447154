//! An agent's computer: files, commands and logs.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use reqwest::{Method, Response, Upgraded, header};

use super::{ANSWER_TIMEOUT, Client, Error, accept, body};
use crate::{EntryList, Exec, ExecResult, LogLine};

/// A file's bytes on their way down.
pub type ByteStream = BoxStream<'static, Result<Bytes, Error>>;

/// A one-shot command may take 10 minutes; the answer a little longer.
const EXEC_TIMEOUT: Duration = Duration::from_secs(11 * 60);
/// The longest line of a log that is read, in bytes.
const LOG_LINE_BYTES: usize = 1 << 20;

impl Client {
    pub async fn list_files(&self, agent: &str, path: &str) -> Result<EntryList, Error> {
        self.json(self.request(Method::GET, &["v1", "agents", agent, "files"], &[at(path)]))
            .await
    }

    /// The file's length in bytes, if it is known, and its content.
    pub async fn read_file(&self, agent: &str, path: &str) -> Result<(Option<u64>, ByteStream), Error> {
        let segments = ["v1", "agents", agent, "files", "content"];
        let response = self
            .send(self.request(Method::GET, &segments, &[at(path)]))
            .await?;
        let url = self.url().to_owned();
        let bytes = response.content_length();
        let content = response
            .bytes_stream()
            .map_err(move |source| Error::transport(&url, source));
        Ok((bytes, content.boxed()))
    }

    /// Writes it whole: when the content ends with an error, the old file stays.
    pub async fn write_file<S, E>(&self, agent: &str, path: &str, content: S) -> Result<(), Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let segments = ["v1", "agents", agent, "files", "content"];
        let request = self
            .request(Method::PUT, &segments, &[at(path)])
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(reqwest::Body::wrap_stream(content));
        self.send(request).await.map(drop)
    }

    pub async fn make_directory(&self, agent: &str, path: &str) -> Result<(), Error> {
        let segments = ["v1", "agents", agent, "files", "mkdir"];
        self.done(self.request(Method::POST, &segments, &[at(path)]))
            .await
    }

    pub async fn move_file(&self, agent: &str, from: &str, to: &str) -> Result<(), Error> {
        let query = [("from", from.to_owned()), ("to", to.to_owned())];
        self.done(self.request(Method::POST, &["v1", "agents", agent, "files", "move"], &query))
            .await
    }

    pub async fn remove_file(&self, agent: &str, path: &str, recursive: bool) -> Result<(), Error> {
        let query = [at(path), ("recursive", recursive.to_string())];
        self.done(self.request(Method::DELETE, &["v1", "agents", agent, "files"], &query))
            .await
    }

    /// Runs a command to its end.
    pub async fn exec(&self, agent: &str, exec: &Exec) -> Result<ExecResult, Error> {
        let request = self.request(Method::POST, &["v1", "agents", agent, "exec"], &[]);
        self.json_within(body(request, exec), EXEC_TIMEOUT).await
    }

    /// Opens the live form of exec: the raw connection of a WebSocket whose handshake used `key`
    /// (`Sec-WebSocket-Key`), and the `Sec-WebSocket-Accept` that came back.
    pub async fn exec_connection(&self, agent: &str, key: &str) -> Result<(Upgraded, String), Error> {
        let request = self
            .get(&["v1", "agents", agent, "exec"])
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, key);
        let response = self.send(request).await?;
        let accept = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        let accept = accept
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let connection = response.upgrade().await.map_err(|error| self.transport(error))?;
        Ok((connection, accept))
    }

    /// The last `tail` lines, and with `follow` those to come.
    pub async fn logs(
        &self,
        agent: &str,
        tail: usize,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine, Error>>, Error> {
        let query = [("tail", tail.to_string()), ("follow", follow.to_string())];
        let request = self.request(Method::GET, &["v1", "agents", agent, "logs"], &query);
        let request = accept(request, "application/x-ndjson");
        let request = if follow {
            request
        } else {
            request.timeout(ANSWER_TIMEOUT)
        };
        let response = self.send(request).await?;
        Ok(json_lines(response, self.url().to_owned()))
    }
}

fn at(path: &str) -> (&'static str, String) {
    ("path", path.to_owned())
}

/// One JSON value a line, until the answer ends.
fn json_lines(response: Response, url: String) -> BoxStream<'static, Result<LogLine, Error>> {
    let state = (response, BytesMut::new(), false);
    stream::try_unfold(state, move |(mut response, mut buffer, mut ended)| {
        let url = url.clone();
        async move {
            loop {
                let line = match buffer.iter().position(|&byte| byte == b'\n') {
                    Some(end) => buffer.split_to(end + 1),
                    None if ended => std::mem::take(&mut buffer),
                    None if buffer.len() > LOG_LINE_BYTES => {
                        return Err(Error::TooLong {
                            url,
                            most: LOG_LINE_BYTES,
                        });
                    }
                    None => {
                        match response
                            .chunk()
                            .await
                            .map_err(|source| Error::transport(&url, source))?
                        {
                            Some(chunk) => buffer.extend_from_slice(&chunk),
                            None => ended = true,
                        }
                        continue;
                    }
                };
                let text = line.trim_ascii();
                if !text.is_empty() {
                    let line = serde_json::from_slice(text).map_err(|source| Error::Unreadable {
                        url: url.clone(),
                        source,
                    })?;
                    return Ok(Some((line, (response, buffer, ended))));
                }
                if ended && buffer.is_empty() {
                    return Ok(None);
                }
            }
        }
    })
    .boxed()
}
