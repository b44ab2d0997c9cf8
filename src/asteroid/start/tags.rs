//! Whose execution it is: the members that the gateway writes into a body's `metadata`.

use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;

use crate::json::{Splice, Value};

use super::{Fault, bounded, fault};

/// What happens where a caller sent one of the gateway's tags with another value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// The request is refused.
    #[default]
    Reject,
    /// The gateway's value takes the place of the caller's.
    Overwrite,
}

/// A tenant's tags, encoded once, when the configuration is loaded.
#[derive(Debug)]
pub struct Tags {
    tags: Vec<Tag>,
    /// `"a":"b","c":"d"`, and the same with a comma behind it.
    members: Bytes,
    members_comma: Bytes,
    /// The members in braces.
    object: Bytes,
    /// The whole `"metadata":{…}`, and the same with a comma behind it.
    member: Bytes,
    member_comma: Bytes,
}

#[derive(Debug)]
struct Tag {
    name: String,
    value: String,
    /// The value as JSON.
    encoded: Bytes,
    /// `"name":"value"`
    member: String,
}

impl Tags {
    /// Encodes tags, whose names differ.
    #[must_use]
    pub fn new(tags: impl IntoIterator<Item = (String, String)>) -> Tags {
        let tags: Vec<Tag> = tags.into_iter().map(|(name, value)| Tag::new(name, value)).collect();
        let members = tags.iter().map(|tag| tag.member.as_str()).collect::<Vec<_>>().join(",");
        let object = format!("{{{members}}}");
        let member = format!("\"metadata\":{object}");
        Tags {
            tags,
            members_comma: format!("{members},").into(),
            members: members.into(),
            object: object.into(),
            member_comma: format!("{member},").into(),
            member: member.into(),
        }
    }

    /// The `metadata` member of a body that has none.
    pub(super) fn member(&self, at: usize, alone: bool) -> Splice {
        let with = if alone { &self.member } else { &self.member_comma };
        Splice { at: at..at, with: with.clone() }
    }

    /// The tags as the whole of `metadata`.
    pub(super) fn object(&self, at: Range<usize>) -> Splice {
        Splice { at, with: self.object.clone() }
    }

    /// The tags among those that the caller sent.
    pub(super) fn merge(&self, metadata: Value<'_>, on_conflict: OnConflict) -> Result<Vec<Splice>, Vec<Fault>> {
        let mut missing = Vec::with_capacity(self.tags.len());
        let mut changes = Vec::with_capacity(1);
        let mut conflicts = Vec::new();
        for tag in &self.tags {
            match metadata.get(&tag.name) {
                None => missing.push(tag.member.as_str()),
                Some(sent) if sent.text().is_some_and(|text| text == tag.value) => {}
                Some(sent) if on_conflict == OnConflict::Overwrite => {
                    changes.push(Splice { at: sent.span(), with: tag.encoded.clone() });
                }
                Some(sent) => conflicts
                    .push(fault(sent, "this key is written by the gateway and may not be sent with another value")),
            }
        }
        if !conflicts.is_empty() {
            return Err(bounded(conflicts));
        }
        if !missing.is_empty() {
            let at = metadata.span().start + 1;
            let with = self.among(&missing, metadata.children().next().is_none());
            changes.push(Splice { at: at..at, with });
        }
        // In the order of the text, whatever that of the tags is.
        changes.sort_by_key(|change| change.at.start);
        Ok(changes)
    }

    fn among(&self, missing: &[&str], alone: bool) -> Bytes {
        match (missing.len() == self.tags.len(), alone) {
            (true, true) => self.members.clone(),
            (true, false) => self.members_comma.clone(),
            // Some tags are there already, so the object is not empty.
            (false, _) => (missing.join(",") + ",").into(),
        }
    }
}

impl Tag {
    fn new(name: String, value: String) -> Tag {
        let encoded = serde_json::Value::from(value.as_str()).to_string();
        let member = format!("{}:{encoded}", serde_json::Value::from(name.as_str()));
        Tag { name, value, encoded: encoded.into(), member }
    }
}
