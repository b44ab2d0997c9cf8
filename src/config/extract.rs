//! Turns the value tree into the file's model, and reports every fault instead of the first.
//!
//! serde stops at an error. So the tree is read again without the refused value, until that succeeds. Each pass refuses
//! one more path, which bounds the number of passes. The deserializer is written by hand because it must know the expected type
//! (text from the environment may be of any type) and must never quote a value.

use std::collections::BTreeSet;
use std::fmt;

use figment::value::{Dict, Value};
use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::finding::{Faults, Path};
use super::variables::Variables;
use super::{suggestion, yaml};

/// The most values of a wrong type that are reported. Each costs another pass over the whole tree.
const MAX_MISMATCHES: usize = 100;

/// Reads `tree` and records the values that had to be left out in `faults`.
pub(super) fn extract<T: DeserializeOwned + Default>(tree: &Dict, variables: &Variables, faults: &mut Faults) -> T {
    let tree = Value::from(tree.clone());
    let mut refused = BTreeSet::new();
    loop {
        let mismatch =
            match T::deserialize(ValueNode { value: &tree, path: Path::default(), refused: &refused, variables }) {
                Ok(model) => return model,
                Err(mismatch) => mismatch.at(&Path::default()),
            };
        if refused.len() == MAX_MISMATCHES {
            faults.push(&Path::default(), "more faults of this kind exist than are listed; correct these first");
            return T::default();
        }
        for fault in mismatch.faults.iter() {
            faults.push(&fault.path, &fault.message);
        }
        if !refused.insert(mismatch.refused.unwrap_or_default()) {
            return T::default();
        }
    }
}

/// The reason why one value is refused.
#[derive(Debug, Default)]
struct Mismatch {
    /// The name of the field, if it is unknown. It is known before the path is.
    field: Option<String>,
    message: String,
    /// The path to leave out, and its faults.
    refused: Option<Path>,
    faults: Faults,
}

impl Mismatch {
    fn at(mut self, path: &Path) -> Self {
        if self.refused.is_none() {
            let path = self.field.take().map_or_else(|| path.clone(), |field| path.join(field));
            self.faults.push(&path, std::mem::take(&mut self.message));
            self.refused = Some(path);
        }
        self
    }
}

impl serde::de::Error for Mismatch {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self { message: message.to_string(), ..Self::default() }
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let message = match suggestion::nearest(field, known.iter().copied()) {
            Some(meant) => format!("unknown setting; did you mean `{meant}`? Known here: {}", known.join(", ")),
            None => format!("unknown setting; known here: {}", known.join(", ")),
        };
        Self { field: Some(field.to_owned()), message, ..Self::default() }
    }

    fn invalid_type(unexpected: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        use serde::de::Unexpected;
        let kind = match unexpected {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a section",
            Unexpected::Unit | Unexpected::Option => "nothing; give it a value or remove it",
            _ => "text",
        };
        Self::custom(format_args!("must be {expected}, not {kind}"))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Mismatch {}

/// One value of the tree and its path.
#[derive(Clone)]
struct ValueNode<'a> {
    value: &'a Value,
    path: Path,
    refused: &'a BTreeSet<Path>,
    variables: &'a Variables,
}

impl<'a> ValueNode<'a> {
    fn visit<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::String(_, text) => visitor.visit_str(text),
            Value::Char(_, character) => visitor.visit_char(*character),
            Value::Bool(_, value) => visitor.visit_bool(*value),
            Value::Num(_, number) => match (number.to_u128().map(u64::try_from), number.to_i128().map(i64::try_from)) {
                (Some(Ok(number)), _) => visitor.visit_u64(number),
                (_, Some(Ok(number))) => visitor.visit_i64(number),
                _ => visitor.visit_f64(number.to_f64().unwrap_or(f64::NAN)),
            },
            Value::Empty(..) => visitor.visit_unit(),
            Value::Dict(_, section) => {
                visitor.visit_map(SectionAccess { node: self, left: section.iter(), value: None })
            }
            Value::Array(_, list) => visitor.visit_seq(ListAccess { node: self, left: list.iter().enumerate() }),
        }
    }

    /// Calls `then` with this node, which is parsed as YAML if it is the text of a variable.
    fn structured<T>(&self, then: impl FnOnce(&ValueNode<'_>) -> Result<T, Mismatch>) -> Result<T, Mismatch> {
        let result = match self.value {
            Value::String(_, text) if self.variables.is_set(&self.path) => {
                let mut faults = Faults::default();
                match yaml::parse(text, &self.path, &mut faults).filter(|_| faults.is_empty()) {
                    Some(value) => then(&ValueNode { value: &value, ..self.clone() }),
                    None => Err(Mismatch { refused: Some(self.path.clone()), faults, ..Mismatch::default() }),
                }
            }
            _ => then(self),
        };
        result.map_err(|mismatch| mismatch.at(&self.path))
    }

    fn must_be(&self, wanted: &str) -> Mismatch {
        let (kind, advice) = match self.value {
            Value::Num(..) => ("a number", "; put it in quotes"),
            Value::Bool(..) => ("true or false", "; put it in quotes"),
            Value::Empty(..) => ("nothing", "; give it a value or remove it"),
            Value::Dict(..) => ("a section", ""),
            Value::Array(..) => ("a list", ""),
            Value::String(..) | Value::Char(..) => ("text", ""),
        };
        let advice = if wanted == "text" { advice } else { "" };
        let mismatch = Mismatch { message: format!("must be {wanted}, not {kind}{advice}"), ..Mismatch::default() };
        mismatch.at(&self.path)
    }
}

impl<'de> Deserializer<'de> for ValueNode<'_> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.visit(visitor).map_err(|mismatch| mismatch.at(&self.path))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::String(..) => self.deserialize_any(visitor),
            _ => Err(self.must_be("text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.structured(|node| match node.value {
            Value::Array(..) => node.visit(visitor),
            Value::Empty(..) => visitor.visit_seq(ListAccess { node, left: [].iter().enumerate() }),
            _ => Err(node.must_be("a list")),
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.structured(|node| match node.value {
            Value::Dict(..) => node.visit(visitor),
            // A section whose settings are all commented out.
            Value::Empty(..) => visitor.visit_map(SectionAccess { node, left: Dict::new().iter(), value: None }),
            _ => Err(node.must_be("a section of `key: value`")),
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        // A refused element of a list. Refused fields are not visited at all.
        if self.refused.contains(&self.path) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        enum identifier ignored_any
    }
}

/// The entries of a section that were not refused.
struct SectionAccess<'n, 'a> {
    node: &'n ValueNode<'a>,
    left: std::collections::btree_map::Iter<'n, String, Value>,
    value: Option<(&'n String, &'n Value)>,
}

impl<'de> MapAccess<'de> for SectionAccess<'_, '_> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mismatch> {
        self.value = self.left.find(|(name, _)| !self.node.refused.contains(&self.node.path.join(*name)));
        let Some((name, _)) = self.value else { return Ok(None) };
        let name: StringDeserializer<Mismatch> = name.clone().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mismatch> {
        let Some((name, value)) = self.value.take() else { return Err(Mismatch::default()) };
        seed.deserialize(ValueNode { value, path: self.node.path.join(name), ..*self.node })
    }
}

/// The elements of a list.
struct ListAccess<'n, 'a> {
    node: &'n ValueNode<'a>,
    left: std::iter::Enumerate<std::slice::Iter<'n, Value>>,
}

impl<'de> SeqAccess<'de> for ListAccess<'_, '_> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        let Some((index, value)) = self.left.next() else { return Ok(None) };
        seed.deserialize(ValueNode { value, path: self.node.path.index(index), ..*self.node }).map(Some)
    }
}
