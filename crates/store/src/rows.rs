//! Values on their way into a statement, and rows on their way out to domain types.

use std::{str::FromStr, sync::Arc};

use creel_domain::{
    AgentId, BrowserSessionId, CallId, DeviceId, Email, Generation, IdentityId, InvitationId, MailId,
    MicroUsd, ModelName, Name, OrgId, PasskeyId, ProviderId, ProviderKind, RunId, SandboxId, ScheduleId,
    SecretName, SessionName, ShareLinkId, SsoProviderId, TokenId, TurnId, UserId,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::Error;

/// What every engine can hold.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    Id(Uuid),
}

/// The values of a statement, `$1` first.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::rows::Value::from($value)),*] };
}
pub(crate) use values;

macro_rules! into_value {
    ($($from:ty, $value:pat => $into:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self { $into }
        }
    )*};
}

into_value! {
    i64, int => Self::Int(int);
    u32, int => Self::Int(int.into());
    u16, int => Self::Int(int.into());
    // Counts past what a column holds are kept as the largest.
    u64, int => Self::Int(i64::try_from(int).unwrap_or(i64::MAX));
    &str, text => Self::from(text.to_owned());
    String, text => Self::Text(storable(text));
    Vec<u8>, bytes => Self::Bytes(bytes);
    [u8; 32], bytes => Self::Bytes(bytes.to_vec());
    Uuid, id => Self::Id(id);
    Timestamp, at => Self::Int(at.as_microsecond());
    Generation, generation => Self::from(generation.0);
    MicroUsd, money => Self::Int(money.0);
    &Name, name => Self::Text(name.to_string());
    &SecretName, name => Self::Text(name.to_string());
    &SessionName, name => Self::Text(name.to_string());
    &ModelName, name => Self::Text(name.to_string());
    ProviderKind, kind => Self::Text(kind.to_string());
    &Email, email => Self::Text(email.to_string());
    AgentId, id => Self::Id(id.uuid());
    BrowserSessionId, id => Self::Id(id.uuid());
    MailId, id => Self::Id(id.uuid());
    CallId, id => Self::Id(id.uuid());
    DeviceId, id => Self::Id(id.uuid());
    IdentityId, id => Self::Id(id.uuid());
    InvitationId, id => Self::Id(id.uuid());
    OrgId, id => Self::Id(id.uuid());
    PasskeyId, id => Self::Id(id.uuid());
    ProviderId, id => Self::Id(id.uuid());
    RunId, id => Self::Id(id.uuid());
    SandboxId, id => Self::Id(id.uuid());
    ShareLinkId, id => Self::Id(id.uuid());
    ScheduleId, id => Self::Id(id.uuid());
    SsoProviderId, id => Self::Id(id.uuid());
    TokenId, id => Self::Id(id.uuid());
    TurnId, id => Self::Id(id.uuid());
    UserId, id => Self::Id(id.uuid());
}

/// PostgreSQL's texts hold every character but this one. Its picture stands for it, on every engine.
fn storable(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{2400}")
    } else {
        text
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

pub(crate) struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    pub(crate) fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    fn value(&self, column: &str) -> Result<&Value, Error> {
        let index = self.columns.iter().position(|name| name == column);
        index
            .and_then(|index| self.values.get(index))
            .ok_or_else(|| Error::Corrupt(format!("no column {column}")))
    }

    /// As the engine gave it, to be given back.
    pub(crate) fn raw(&self, column: &str) -> Result<Value, Error> {
        self.value(column).cloned()
    }

    pub(crate) fn maybe_int(&self, column: &str) -> Result<Option<i64>, Error> {
        match self.value(column)? {
            Value::Int(int) => Ok(Some(*int)),
            Value::Null => Ok(None),
            _ => Err(odd(column, "is no number")),
        }
    }

    pub(crate) fn int(&self, column: &str) -> Result<i64, Error> {
        self.maybe_int(column)?.ok_or_else(|| odd(column, "is missing"))
    }

    pub(crate) fn count(&self, column: &str) -> Result<u64, Error> {
        u64::try_from(self.int(column)?).map_err(|_| odd(column, "is negative"))
    }

    pub(crate) fn maybe_text(&self, column: &str) -> Result<Option<&str>, Error> {
        match self.value(column)? {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            _ => Err(odd(column, "is no text")),
        }
    }

    pub(crate) fn text(&self, column: &str) -> Result<&str, Error> {
        self.maybe_text(column)?.ok_or_else(|| odd(column, "is missing"))
    }

    pub(crate) fn maybe_bytes(&self, column: &str) -> Result<Option<&[u8]>, Error> {
        match self.value(column)? {
            Value::Bytes(bytes) => Ok(Some(bytes)),
            Value::Null => Ok(None),
            _ => Err(odd(column, "is no bytes")),
        }
    }

    pub(crate) fn hash(&self, column: &str) -> Result<[u8; 32], Error> {
        self.maybe_bytes(column)?
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| odd(column, "is no hash"))
    }

    pub(crate) fn id<Id: From<Uuid>>(&self, column: &str) -> Result<Id, Error> {
        let uuid = match self.value(column)? {
            Value::Id(id) => Some(*id),
            Value::Bytes(bytes) => Uuid::from_slice(bytes).ok(),
            _ => None,
        };
        uuid.map(Id::from).ok_or_else(|| odd(column, "is no id"))
    }

    pub(crate) fn maybe_id<Id: From<Uuid>>(&self, column: &str) -> Result<Option<Id>, Error> {
        match self.value(column)? {
            Value::Null => Ok(None),
            _ => self.id(column).map(Some),
        }
    }

    pub(crate) fn maybe_time(&self, column: &str) -> Result<Option<Timestamp>, Error> {
        self.maybe_int(column)?
            .map(Timestamp::from_microsecond)
            .transpose()
            .map_err(|_| odd(column, "is no time"))
    }

    pub(crate) fn time(&self, column: &str) -> Result<Timestamp, Error> {
        self.maybe_time(column)?.ok_or_else(|| odd(column, "is missing"))
    }

    pub(crate) fn money(&self, column: &str) -> Result<MicroUsd, Error> {
        Ok(MicroUsd(self.int(column)?))
    }

    /// A text that is one of the domain's own types.
    pub(crate) fn parsed<T: FromStr>(&self, column: &str) -> Result<T, Error>
    where
        T::Err: std::fmt::Display,
    {
        self.text(column)?
            .parse()
            .map_err(|error: T::Err| odd(column, &error.to_string()))
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        serde_json::from_str(self.text(column)?).map_err(|error| odd(column, &error.to_string()))
    }
}

fn odd(column: &str, what: &str) -> Error {
    Error::Corrupt(format!("column {column} {what}"))
}

/// Times are kept in microseconds: what is given out now equals what is read later.
pub(crate) fn stored_precision(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}
