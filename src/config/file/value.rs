//! Values as written in the file: text for `resolve` to parse, and lists that may have gaps.

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

/// A number with its unit. A bare number is accepted as well, so that `resolve` can say which unit to write.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Quantity(pub(crate) String);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor("a number with its unit")).map(Quantity)
    }
}

/// Text for a number without a unit, because an environment variable is text.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Number(pub(crate) String);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor("a number")).map(Number)
    }
}

/// Reads a value as text, even if YAML parses it as a number.
struct NumberVisitor(&'static str);

impl Visitor<'_> for NumberVisitor {
    type Value = String;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.0)
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

/// `true` or `false`, as text, because an environment variable is text.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Flag(#[cfg_attr(test, schemars(with = "bool"))] pub(crate) String);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor("true or false")).map(Flag)
    }
}

/// `off`, which YAML parses as a boolean, `optional` or `required`.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Mode(pub(crate) String);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor("off, optional or required")).map(Mode)
    }
}

/// Reads one of these words as text, even if YAML parses it as a boolean.
struct WordVisitor(&'static str);

impl Visitor<'_> for WordVisitor {
    type Value = String;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.0)
    }

    fn visit_bool<E>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

/// A list whose elements have their positions, because a refused element leaves a gap.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct List<T>(#[cfg_attr(test, schemars(with = "Vec<T>"))] pub(crate) Vec<(usize, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                let mut index = 0;
                while let Some(element) = elements.next_element::<Option<T>>()? {
                    list.extend(element.map(|element| (index, element)));
                    index += 1;
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_seq(ListVisitor(std::marker::PhantomData))
    }
}
