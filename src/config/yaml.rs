//! Parses YAML text into figment's value tree. Duplicate keys do not end the parse. They are collected with their paths and
//! reported with all other faults.

use std::cell::RefCell;
use std::fmt;

use figment::value::{Dict, Empty, Value};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};

use super::finding::{Faults, Path};

/// Parses one document, whose path is `root`. Returns `None` only after recording a syntax error. Records duplicate
/// keys as well; the last one counts, so that parsing can continue.
pub(super) fn parse(text: &str, root: &Path, faults: &mut Faults) -> Option<Value> {
    let options = serde_saphyr::options! {
        // A snippet would show lines of the file, which may contain a pasted secret.
        with_snippet: false,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
    };
    let faults = RefCell::new(faults);
    let seed = TreeVisitor { path: root.clone(), faults: &faults };
    match serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| seed.deserialize(yaml)) {
        Ok(value) => Some(value),
        Err(error) => {
            faults.borrow_mut().push(root, describe(error.without_snippet()));
            None
        }
    }
}

/// Describes an error of the parser for operators. Errors that could quote the file are reworded.
fn describe(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    let what = match error {
        // The scanner's own messages are fixed texts.
        Error::ExternalMessage { msg, .. } => msg.as_str(),
        Error::Eof { .. } => "the text ends too early",
        Error::MultipleDocuments { .. } => "there must be one document, without a second `---`",
        Error::UnknownAnchor { .. } => {
            "an alias (`*name`) without its anchor (`&name`); quote text that begins with `*`"
        }
        Error::MergeKeyNotAllowed { .. } => "merge keys (`<<`) are not supported; write the keys out",
        Error::UnsupportedTag { .. } => "a tag (`!name`) that is not supported; quote text that begins with `!`",
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } => "too large or too deeply nested",
        Error::InvalidUtf8Input => "not UTF-8",
        _ => "this cannot be read here",
    };
    match error.location() {
        Some(location) if location.line() > 0 => {
            format!("YAML, line {}, column {}: {what}", location.line(), location.column())
        }
        _ => format!("YAML: {what}"),
    }
}

/// Builds the value tree at one path.
struct TreeVisitor<'a> {
    path: Path,
    faults: &'a RefCell<&'a mut Faults>,
}

impl<'de> DeserializeSeed<'de> for TreeVisitor<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TreeVisitor<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("YAML")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::from(Empty::Unit))
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::from(Empty::None))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::<Value>::new();
        while let Some(element) =
            elements.next_element_seed(TreeVisitor { path: self.path.index(list.len()), faults: self.faults })?
        {
            list.push(element);
        }
        Ok(Value::from(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut section = Dict::new();
        while let Some(name) = entries.next_key::<String>()? {
            let path = self.path.join(&name);
            let value = entries.next_value_seed(TreeVisitor { path: path.clone(), faults: self.faults })?;
            if section.insert(name, value).is_some() {
                self.faults.borrow_mut().push(&path, "is written twice; keep one");
            }
        }
        Ok(Value::from(section))
    }
}
