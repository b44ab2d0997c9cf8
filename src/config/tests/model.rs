//! The config paths of the file's model. serde itself lists them, so that they cannot drift.

use std::collections::BTreeSet;

use figment::value::Value;
use serde::de::value::{Error, MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{Deserialize, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Adds the config paths of the model to `known`, in the order of the model if `known` keeps one.
pub(super) fn add_known<T: for<'de> Deserialize<'de>>(known: &mut dyn ConfigPaths) {
    let known = std::cell::RefCell::new(known);
    T::deserialize(Walk { path: String::new(), known: &known }).expect("the model reads what it asks for");
}

/// Adds the config paths of a file to `found`. A name that the operator chose becomes `*`.
pub(super) fn add_written(value: &Value, path: String, model: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    match value {
        Value::Dict(_, section) => {
            for (key, value) in section {
                let named = join(&path, key);
                let chosen = join(&path, "*");
                let chooses =
                    path.ends_with(".metadata") || model.iter().any(|known| known.starts_with(&format!("{chosen}.")));
                let path = if chooses { chosen } else { named };
                if !chooses {
                    found.insert(path.clone());
                }
                add_written(value, path, model, found);
            }
        }
        Value::Array(_, list) => list.iter().for_each(|value| add_written(value, format!("{path}[]"), model, found)),
        _ => {}
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A collection of config paths, each once.
pub(super) trait ConfigPaths {
    fn add(&mut self, path: String);
}

impl ConfigPaths for BTreeSet<String> {
    fn add(&mut self, path: String) {
        self.insert(path);
    }
}

impl ConfigPaths for Vec<String> {
    fn add(&mut self, path: String) {
        if !self.contains(&path) {
            self.push(path);
        }
    }
}

#[derive(Clone)]
struct Walk<'a, 'k> {
    path: String,
    known: &'a std::cell::RefCell<&'k mut dyn ConfigPaths>,
}

impl<'de> IntoDeserializer<'de, Error> for Walk<'_, '_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Walk<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str("text")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let element = Self { path: format!("{}[]", self.path), known: self.known };
        visitor.visit_seq(SeqDeserializer::new(std::iter::once(element)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = Self { path: join(&self.path, "*"), known: self.known };
        visitor.visit_map(MapDeserializer::new(std::iter::once(("*", value))))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let fields = fields.iter().map(|field| {
            let path = join(&self.path, field);
            self.known.borrow_mut().add(path.clone());
            (*field, Self { path, known: self.known })
        });
        let fields: Vec<_> = fields.collect();
        let entries = MapDeserializer::<_, Error>::new(fields.into_iter());
        MapAccessDeserializer::new(entries).deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct enum identifier ignored_any
    }
}
