//! The answers of `resolve` about a setting, so that bounds and defaults are written once. A value of the full file is the
//! default if leaving it out changes nothing. The error about a refused value says which values are accepted.

use serde_json::{Value as Json, json};

use crate::config::{Config, Faults};

use super::super::{FULL, with};
use super::yaml;

/// `config/gateway.full.yaml`, with one value changed at a time.
pub(super) struct Full {
    file: Json,
    config: Config,
}

/// The meaning of an absent setting.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Absence {
    /// The absence is refused.
    Refused,
    /// The setting has this value.
    Default(Json),
    /// The setting has the value of another one, which has this config path.
    Inherited(String),
    /// The description of the setting says it.
    Other,
}

/// The type of a setting's value. A text is the part of an error that gives the bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ValueType {
    /// One of these words.
    Words(Vec<String>),
    /// A duration.
    Time(String),
    /// A size.
    Size(String),
    /// A rate.
    Rate(String),
    /// A whole number, from one bound to the other.
    Count(u64, u64),
    /// Permissions of a file.
    Permissions(String),
    /// Text, and the error about a wrong one.
    Text(Option<String>),
}

impl Full {
    pub(super) fn read() -> Full {
        Full { file: yaml(FULL), config: with(FULL, &[]).unwrap().config }
    }

    /// Returns the JSON pointers of a config path such as `tenants.*.limits` or `listeners[].hosts[]` in the file.
    pub(super) fn pointers(&self, path: &str) -> Vec<String> {
        let steps = path.replace("[]", ".[]");
        let steps: Vec<&str> = steps.split('.').filter(|step| !step.is_empty()).collect();
        let mut found = Vec::new();
        pointers(&self.file, &steps, String::new(), &mut found);
        found
    }

    pub(super) fn absence(&self, path: &str) -> Absence {
        if let Some(general) = path.strip_prefix("tenants.*.operations.") {
            return Absence::Inherited(format!("operations.{general}"));
        }
        let pointer = &self.pointers(path)[0];
        let (holder, name) = pointer.rsplit_once('/').unwrap();
        let mut file = self.file.clone();
        let value = file.pointer_mut(holder).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        match with(&file.to_string(), &[]) {
            // A fault of the section itself is about several settings, of which one is needed.
            Err(faults) if message(&faults, pointer).is_some() => Absence::Refused,
            Ok(loaded) if loaded.config == self.config => Absence::Default(value),
            _ => Absence::Other,
        }
    }

    /// Returns the error about a value at a JSON pointer, if it is refused.
    pub(super) fn refusal(&self, pointer: &str, value: Json) -> Option<String> {
        let mut file = self.file.clone();
        *file.pointer_mut(pointer).unwrap() = value;
        message(&with(&file.to_string(), &[]).err()?, pointer)
    }

    pub(super) fn value_type(&self, path: &str) -> ValueType {
        let pointers = self.pointers(path);
        let pointer = pointers.first().unwrap_or_else(|| panic!("config/gateway.full.yaml does not show {path}"));
        // No setting has a meaning for either, and most refuse white space.
        let Some(refusal) = [" ", ""].iter().find_map(|nothing| self.refusal(pointer, json!(nothing))) else {
            return ValueType::Text(None);
        };
        let beyond = |value: &str| {
            let refusal = self.refusal(pointer, json!(value)).unwrap_or_default();
            refusal.strip_prefix("must be from ").unwrap_or(&refusal).to_owned()
        };
        if refusal.starts_with("is not a duration") {
            return ValueType::Time(beyond("99999h"));
        }
        if refusal.starts_with("is not a size") {
            return ValueType::Size(beyond("99999TiB"));
        }
        if refusal.starts_with("must be a rate") {
            return ValueType::Rate(beyond("0/s").replace(" per unit of time", ""));
        }
        if let Some(digits) = refusal.strip_prefix("must be octal digits") {
            return ValueType::Permissions(format!("octal digits{digits}"));
        }
        if let Some((min, max)) = whole_numbers(&refusal) {
            return ValueType::Count(min, max);
        }
        let words = self.words(pointer, &refusal);
        words.map_or_else(|| ValueType::Text(Some(refusal.clone())), ValueType::Words)
    }

    /// Returns whether the file has a number for a setting.
    pub(super) fn has_number(&self, path: &str) -> bool {
        self.pointers(path).iter().all(|pointer| self.file.pointer(pointer).is_some_and(Json::is_number))
    }

    /// Returns the words that an error lists, if each of them is accepted.
    fn words(&self, pointer: &str, refusal: &str) -> Option<Vec<String>> {
        let listed = refusal.strip_prefix("must be ")?.split(':').next()?;
        let words = listed.split(", ").flat_map(|words| words.split(" or "));
        let is_taken = |word: &&str| !word.contains(' ') && self.refusal(pointer, json!(word)).is_none();
        words.map(|word| Some(word).filter(is_taken).map(str::to_owned)).collect()
    }
}

/// Returns the message of the fault at a JSON pointer.
fn message(faults: &Faults, pointer: &str) -> Option<String> {
    let path = pointer.split('/').skip(1).fold(String::new(), |path, step| match step.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) if path.is_empty() => step.to_owned(),
        Err(_) => format!("{path}.{step}"),
    });
    faults.iter().find(|fault| fault.path.to_string() == path).map(|fault| fault.message.clone())
}

fn whole_numbers(refusal: &str) -> Option<(u64, u64)> {
    let said = refusal.strip_prefix("must be ")?;
    let said = said.strip_prefix("auto or ").unwrap_or(said);
    let (min, max) = said.strip_prefix("a whole number from ")?.split_once(" to ")?;
    Some((min.parse().ok()?, max.parse().ok()?))
}

fn pointers(value: &Json, steps: &[&str], at: String, found: &mut Vec<String>) {
    match (steps, value) {
        ([], _) => found.push(at),
        (["[]", rest @ ..], Json::Array(list)) => {
            list.iter().enumerate().for_each(|(index, value)| pointers(value, rest, format!("{at}/{index}"), found));
        }
        (["*", rest @ ..], Json::Object(section)) => {
            section.iter().for_each(|(name, value)| pointers(value, rest, format!("{at}/{name}"), found));
        }
        ([name, rest @ ..], Json::Object(section)) => {
            section.get(*name).into_iter().for_each(|value| pointers(value, rest, format!("{at}/{name}"), found));
        }
        _ => {}
    }
}
