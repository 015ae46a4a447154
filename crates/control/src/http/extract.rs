//! Bodies, queries and paths as typed values, refused with the name of what is wrong.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use creel_api::ErrorCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::failure::Failure;

/// The longest JSON body.
pub(crate) const JSON_BYTES: usize = 1 << 20;

/// A JSON body, and its digest for idempotency.
pub(crate) struct Json<T> {
    pub(crate) value: T,
    pub(crate) bytes: Bytes,
}

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        if !is_json(request.headers()) {
            return Err(Failure::new(
                ErrorCode::UnsupportedMediaType,
                "Send the body as JSON, with the header `Content-Type: application/json`.",
            ));
        }
        let bytes = whole(request.into_body(), JSON_BYTES).await?;
        let value = parse(&bytes)?;
        Ok(Self { value, bytes })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    kind.eq_ignore_ascii_case("application/json")
        || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Reads a body to its end, unless it is longer than `most`.
async fn whole(body: axum::body::Body, most: usize) -> Result<Bytes, Failure> {
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(Failure::new(
            ErrorCode::TooLarge,
            format!("The body is larger than {most} bytes."),
        )),
        Err(_) => Err(Failure::invalid("The body broke off before its end.")),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    // Fields in the order that the type has them would otherwise be taken from an array.
    let first = bytes.trim_ascii_start().first();
    if first.is_some_and(|first| b"[\"-0123456789tfn".contains(first)) {
        return Err(Failure::invalid("The body must be a JSON object."));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner();
        let place = if path == "." {
            String::new()
        } else {
            format!(" at `{path}`")
        };
        if reason.is_data() {
            let reason = reason.to_string();
            // The position says nothing that the path does not.
            let reason = reason
                .rsplit_once(" at line")
                .map_or(reason.as_str(), |(reason, _)| reason);
            Failure::invalid(format!("The body does not fit{place}: {reason}."))
        } else {
            Failure::new(
                ErrorCode::InvalidJson,
                format!("The body is not JSON{place}: {reason}."),
            )
        }
    })?;
    json.end().map_err(|error| {
        Failure::new(
            ErrorCode::InvalidJson,
            format!("Something follows the JSON: {error}."),
        )
    })?;
    Ok(parsed)
}

/// A query string; unknown names are refused by the type.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|error| {
            let text = error.body_text();
            let reason = text.rsplit("query string: ").next().unwrap_or_default();
            Failure::invalid(format!("The query does not fit: {reason}."))
        })
    }
}

/// The parts of the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0))
            .map_err(|error| Failure::invalid(format!("The address does not fit: {}.", error.body_text())))
    }
}

/// Whether a client would rather have `media_type` than JSON.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| {
            part.split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case(media_type)
        })
}

/// `Last-Event-ID`: where a reader stopped. Something that is no number was not ours: from the start.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use creel_api::{ChatRequest, CreateAgent};

    use super::*;

    fn told<T: DeserializeOwned>(body: &str) -> String {
        match parse::<T>(body.as_bytes()) {
            Ok(_) => "taken".to_owned(),
            Err(failure) => format!("{failure:?}"),
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, part) in [
            (
                r#"{"message":1}"#,
                "at `message`: invalid type: integer `1`, expected a string.",
            ),
            (r#"{"message":"a","colour":1}"#, "unknown field `colour`"),
            (
                r#"{"message":"a","session":"../x"}"#,
                "`../x` is not a session name",
            ),
            (r#"{}"#, "missing field `message`"),
            (r#"{"message":"a""#, "not JSON"),
            (r#"{"message":"a"} x"#, "Something follows"),
            ("", "not JSON"),
        ] {
            let told = told::<ChatRequest>(body);
            assert!(told.contains(part), "{body}: {told}");
        }
        let told = told::<CreateAgent>(r#"{"name":"a","limits":{"pids":-1}}"#);
        assert!(told.contains("at `limits.pids`"), "{told}");
    }
}
