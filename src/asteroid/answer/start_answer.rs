//! The members of an answer to a start that are read, also if the rest of the answer has not come.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Deserializer, Value};
use uuid::Uuid;

/// The longest status that is read, in bytes.
const MAX_STATUS: usize = 64;

/// The members of an answer to a start that are read.
#[derive(Debug, Default)]
pub(super) struct StartAnswer {
    id: Option<Uuid>,
    pub(super) status: Option<String>,
}

impl StartAnswer {
    /// Reads an answer as far as it goes.
    pub(super) fn read(body: &[u8]) -> (StartAnswer, Extent) {
        let (mut answer, mut deserializer) = (StartAnswer::default(), Deserializer::from_slice(body));
        let read = deserializer.deserialize_map(Members(&mut answer)).and_then(|()| deserializer.end());
        let extent = match read {
            Ok(()) => Extent::Whole,
            Err(error) if error.is_eof() => Extent::Cut,
            Err(_) => Extent::Malformed,
        };
        (answer, extent)
    }

    /// Returns the execution that it names.
    pub(super) fn execution_id(&self) -> Option<Uuid> {
        self.id.filter(|id| !id.is_nil())
    }
}

/// How far an answer could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// It is one JSON object.
    Whole,
    /// It begins as one.
    Cut,
    /// It is none, however it goes on.
    Malformed,
}

/// Reads the members of an object one after another, so that those before its end are known if the end is missing.
struct Members<'a>(&'a mut StartAnswer);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an answer to a start")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<(), M::Error> {
        while let Some(name) = members.next_key::<Name>()? {
            match name {
                Name::ExecutionId => {
                    let id = members.next_value()?;
                    if self.0.id.replace(id).is_some() {
                        self.0.id = None;
                        return Err(M::Error::duplicate_field("executionId"));
                    }
                }
                Name::Status => {
                    // A status of another kind does not keep the id from being read.
                    let status: Value = members.next_value()?;
                    self.0.status = status.as_str().filter(|status| status.len() <= MAX_STATUS).map(str::to_owned);
                }
                Name::Other => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[derive(serde::Deserialize)]
enum Name {
    #[serde(rename = "executionId")]
    ExecutionId,
    #[serde(rename = "status")]
    Status,
    #[serde(other)]
    Other,
}
