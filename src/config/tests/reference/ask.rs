//! What `resolve` itself says of a key, so that bounds and defaults are written once: a value of the full file is the
//! default if leaving it out changes nothing, and what is refused is refused with what is taken.

use serde_json::{Value as Json, json};

use super::super::{FULL, with};
use super::yaml;
use crate::config::{Config, Faults};

/// `config/gateway.full.yaml`, with one value changed at a time.
pub(super) struct Full {
    file: Json,
    config: Config,
}

/// What it means that a key is absent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Absence {
    /// It is refused.
    Refused,
    /// The same as this value.
    Default(Json),
    /// Whatever its description says.
    Other,
}

/// What a key takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Takes {
    /// One of these words.
    Words(Vec<String>),
    /// A span of time, and what is said beyond its bounds.
    Time(String),
    /// A size, likewise.
    Size(String),
    /// A rate, likewise.
    Rate(String),
    /// A whole number, from one bound to the other.
    Count(u64, u64),
    /// Permissions of a file, likewise.
    Permissions(String),
    /// Text, of which this is asked.
    Text(Option<String>),
}

impl Full {
    pub(super) fn read() -> Full {
        Full { file: yaml(FULL), config: with(FULL, &[]).unwrap().config }
    }

    /// Where the file has a key such as `tenants.*.limits` or `listeners[].hosts[]`, as JSON pointers.
    pub(super) fn places(&self, key: &str) -> Vec<String> {
        let steps = key.replace("[]", ".[]");
        let steps: Vec<&str> = steps.split('.').filter(|step| !step.is_empty()).collect();
        let mut found = Vec::new();
        places(&self.file, &steps, String::new(), &mut found);
        found
    }

    pub(super) fn absence(&self, key: &str) -> Absence {
        let place = &self.places(key)[0];
        let (holder, name) = place.rsplit_once('/').unwrap();
        let mut file = self.file.clone();
        let value = file.pointer_mut(holder).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        match with(&file.to_string(), &[]) {
            // A fault of what holds the key is about several keys, of which one is needed.
            Err(faults) if message(&faults, place).is_some() => Absence::Refused,
            Ok(loaded) if loaded.config == self.config => Absence::Default(value),
            _ => Absence::Other,
        }
    }

    /// Why a value is refused at a place.
    pub(super) fn refusal(&self, place: &str, value: Json) -> Option<String> {
        let mut file = self.file.clone();
        *file.pointer_mut(place).unwrap() = value;
        message(&with(&file.to_string(), &[]).err()?, place)
    }

    pub(super) fn takes(&self, key: &str) -> Takes {
        let places = self.places(key);
        let place = places.first().unwrap_or_else(|| panic!("config/gateway.full.yaml does not show {key}"));
        // Neither is anything that a key takes for its meaning, and white space is what most refuse.
        let Some(refusal) = [" ", ""].iter().find_map(|nothing| self.refusal(place, json!(nothing))) else {
            return Takes::Text(None);
        };
        let beyond = |value: &str| {
            let refusal = self.refusal(place, json!(value)).unwrap_or_default();
            refusal.strip_prefix("must be from ").unwrap_or(&refusal).to_owned()
        };
        if refusal.starts_with("is not a duration") {
            return Takes::Time(beyond("99999h"));
        }
        if refusal.starts_with("is not a size") {
            return Takes::Size(beyond("99999TiB"));
        }
        if refusal.starts_with("must be a rate") {
            return Takes::Rate(beyond("0/s").replace(" per span of time", ""));
        }
        if let Some(digits) = refusal.strip_prefix("must be octal digits") {
            return Takes::Permissions(format!("octal digits{digits}"));
        }
        if let Some((least, most)) = whole_numbers(&refusal) {
            return Takes::Count(least, most);
        }
        let words = self.words(place, &refusal);
        words.map_or_else(|| Takes::Text(Some(refusal.clone())), Takes::Words)
    }

    /// Whether the file has a number for a key.
    pub(super) fn has_number(&self, key: &str) -> bool {
        self.places(key).iter().all(|place| self.file.pointer(place).is_some_and(Json::is_number))
    }

    /// The words that a refusal lists, if each of them is taken.
    fn words(&self, place: &str, refusal: &str) -> Option<Vec<String>> {
        let listed = refusal.strip_prefix("must be ")?.split(':').next()?;
        let words = listed.split(", ").flat_map(|words| words.split(" or "));
        let is_taken = |word: &&str| !word.contains(' ') && self.refusal(place, json!(word)).is_none();
        words.map(|word| Some(word).filter(is_taken).map(str::to_owned)).collect()
    }
}

/// What is said of a place.
fn message(faults: &Faults, place: &str) -> Option<String> {
    let path = place.split('/').skip(1).fold(String::new(), |path, step| match step.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) if path.is_empty() => step.to_owned(),
        Err(_) => format!("{path}.{step}"),
    });
    faults.iter().find(|fault| fault.path.to_string() == path).map(|fault| fault.message.clone())
}

fn whole_numbers(refusal: &str) -> Option<(u64, u64)> {
    let said = refusal.strip_prefix("must be ")?;
    let said = said.strip_prefix("auto or ").unwrap_or(said);
    let (least, most) = said.strip_prefix("a whole number from ")?.split_once(" to ")?;
    Some((least.parse().ok()?, most.parse().ok()?))
}

fn places(value: &Json, steps: &[&str], at: String, found: &mut Vec<String>) {
    match (steps, value) {
        ([], _) => found.push(at),
        (["[]", rest @ ..], Json::Array(list)) => {
            list.iter().enumerate().for_each(|(index, value)| places(value, rest, format!("{at}/{index}"), found));
        }
        (["*", rest @ ..], Json::Object(section)) => {
            section.iter().for_each(|(key, value)| places(value, rest, format!("{at}/{key}"), found));
        }
        ([key, rest @ ..], Json::Object(section)) => {
            section.get(*key).into_iter().for_each(|value| places(value, rest, format!("{at}/{key}"), found));
        }
        _ => {}
    }
}
