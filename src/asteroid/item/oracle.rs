//! A second reading of answers, over a tree that keeps repeated names. Tests and the fuzz target compare the gateway with it. They
//! share no code with it.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

/// A value of JSON. Two are equal if they have the same members in the same order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Object(Vec<(String, Tree)>),
    Array(Vec<Tree>),
    Text(String),
    Integer(u64),
    Other(String),
}

/// An item: its id in lower case, whether it carries the tag, and whether it shows what triggered it.
pub(super) type Judged = (String, bool, bool);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        struct TreeVisitor;
        impl<'de> Visitor<'de> for TreeVisitor {
            type Value = Tree;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("any value")
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Other("null".to_owned()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Other(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree::Integer(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
                Ok(Tree::Other(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
                Ok(Tree::Other(format!("{value:?}")))
            }

            fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Tree, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = array.next_element()? {
                    elements.push(element);
                }
                Ok(Tree::Array(elements))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Tree, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    members.push(member);
                }
                Ok(Tree::Object(members))
            }
        }
        deserializer.deserialize_any(TreeVisitor)
    }
}

impl Tree {
    /// Returns the member with this name if there is exactly one, and how many there are.
    fn member(&self, name: &str) -> (Option<&Tree>, usize) {
        let Tree::Object(members) = self else { return (None, 0) };
        let mut found = members.iter().filter(|(named, _)| named == name).map(|(_, value)| value);
        let first = found.next();
        (first, first.iter().count() + found.count())
    }

    fn integer(&self, name: &str) -> Option<u64> {
        let (Some(Tree::Integer(number)), 1) = self.member(name) else { return None };
        Some(*number)
    }

    fn without_trigger_context(mut self) -> Tree {
        if let Tree::Object(members) = &mut self {
            members.retain(|(name, _)| name != "triggerContext");
        }
        self
    }
}

/// Judges an item; `None` if it must be refused.
pub(super) fn item(item: &Tree, tag: (&str, &str)) -> Option<Judged> {
    let (Some(Tree::Text(id)), 1) = item.member("id") else { return None };
    let groups: Vec<usize> = id.split('-').map(str::len).collect();
    if groups != [8, 4, 4, 4, 12] || !id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) {
        return None;
    }
    let (metadata, metadata_count) = item.member("metadata");
    let (value, value_count) = metadata.map_or((None, 0), |metadata| metadata.member(tag.0));
    let (_, trigger_count) = item.member("triggerContext");
    if metadata_count > 1 || value_count > 1 || trigger_count > 1 {
        return None;
    }
    let is_owned = value == Some(&Tree::Text(tag.1.to_owned()));
    Some((id.to_ascii_lowercase(), is_owned, trigger_count == 1))
}

/// Judges a page; `None` if it must be refused.
pub(super) fn page(page: &Tree, tag: (&str, &str)) -> Option<(Vec<Judged>, [u64; 3])> {
    let (Some(Tree::Array(items)), 1) = page.member("items") else { return None };
    let items: Vec<Judged> = items.iter().map(|judged| item(judged, tag)).collect::<Option<_>>()?;
    let numbers = [page.integer("page")?, page.integer("pageSize")?, page.integer("total")?];
    (items.len() as u64 <= numbers[2]).then_some((items, numbers))
}

/// Returns an item or a page as its caller may see it.
pub(super) fn shown(answer: Tree, is_page: bool) -> Tree {
    let Tree::Object(mut members) = answer else { return answer };
    if !is_page {
        return Tree::Object(members).without_trigger_context();
    }
    for (name, value) in &mut members {
        if let ("items", Tree::Array(items)) = (name.as_str(), value) {
            *items = std::mem::take(items).into_iter().map(Tree::without_trigger_context).collect();
        }
    }
    Tree::Object(members)
}
