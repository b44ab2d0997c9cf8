//! A second reading of the files in an answer, by types that serde fills. Tests and the fuzz target compare the gateway with it. They
//! share no code with it.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// An entry of a directory: its text as written, and the execution that it names in lower case.
pub(super) type Entry = (String, Option<String>);

/// A directory: its name, and its entries unless it is null.
pub(super) type Directory = (String, Option<Vec<Entry>>);

/// The answer, as far as it is judged. A member that occurs twice is an error.
#[derive(Deserialize)]
struct Answer {
    directories: Directories,
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "executionId")]
    execution: Option<Value>,
}

/// The directories in their order, also two with one name.
struct Directories(Vec<Directory>);

impl<'de> Deserialize<'de> for Directories {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Directories, D::Error> {
        struct DirectoriesVisitor;
        impl<'de> Visitor<'de> for DirectoriesVisitor {
            type Value = Directories;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("directories")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Directories, A::Error> {
                let mut directories = Vec::new();
                while let Some((name, files)) = map.next_entry::<String, Option<Vec<Box<RawValue>>>>()? {
                    let files = files.map(|files| files.iter().map(|file| entry(file.get())).collect());
                    directories.push((name, files.transpose().map_err(A::Error::custom)?));
                }
                Ok(Directories(directories))
            }
        }
        deserializer.deserialize_map(DirectoriesVisitor)
    }
}

fn entry(raw: &str) -> Result<Entry, serde_json::Error> {
    if !raw.starts_with('{') {
        return Ok((raw.to_owned(), None));
    }
    let id = |value: Value| {
        let text = value.as_str()?.to_lowercase();
        let groups: Vec<usize> = text.split('-').map(str::len).collect();
        let is_hex = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        (groups == [8, 4, 4, 4, 12] && is_hex).then_some(text)
    };
    Ok((raw.to_owned(), serde_json::from_str::<File>(raw)?.execution.and_then(id)))
}

/// Returns the directories of an answer; `None` if it must be refused.
pub(super) fn directories(body: &[u8]) -> Option<Vec<Directory>> {
    let text = std::str::from_utf8(body).ok()?;
    // For serde, an array of its members is a struct, too.
    let is_object = text.trim_start().starts_with('{');
    serde_json::from_str::<Answer>(text).ok().filter(|_| is_object).map(|answer| answer.directories.0)
}
