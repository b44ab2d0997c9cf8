//! The gateway's tags in a start's `metadata`, and the splices that write them.
//!
//! All text is created when the configuration is loaded. A request shares slices of it.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use super::{METADATA, Start};
use crate::asteroid::body::{Fault, Refusal, folded};
use crate::json::{Kind, Splice, Value};

/// The reaction to a caller that sent one of the gateway's tags with another value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// The start is refused.
    #[default]
    Reject,
    /// The gateway's value replaces the caller's.
    Overwrite,
}

/// A tenant's tags, ready to be written.
#[derive(Debug, Clone)]
pub struct Tags {
    tags: Vec<WrittenTag>,
    /// Names that only the gateway may write, and does not write here.
    reserved: Vec<Arc<str>>,
    /// `"metadata":{"tenant":"billing","team":"b"},`
    whole: Bytes,
    /// `"tenant":"billing","team":"b",`
    members: Bytes,
}

#[derive(Debug, Clone)]
struct WrittenTag {
    name: Arc<str>,
    value: Arc<str>,
    /// The range of `"tenant":"billing",` in the members.
    member: Range<usize>,
    /// The range of `"billing"` in the members.
    literal: Range<usize>,
}

impl Tags {
    /// Creates tags with these names and values. If a name occurs twice, the later value counts. There is always one,
    /// the tenant's name; without any, `metadata` would be written empty.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut distinct: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs {
            match distinct.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => distinct.push((name, value)),
            }
        }
        distinct
            .iter()
            .fold(TagsBuilder::default(), |tags, (name, value)| tags.add(name.as_str().into(), value))
            .build()
    }

    /// Returns the same tags with reserved names, which no caller may write: an execution with a forged tag would be found instead
    /// of the gateway's own.
    #[must_use]
    pub fn reserve(self, names: &[&str]) -> Self {
        Self { reserved: names.iter().map(|name| (*name).into()).collect(), ..self }
    }

    /// Returns these tags with values for one start under the reserved names, in their order.
    #[must_use]
    pub fn with_reserved(&self, values: &[&str]) -> Self {
        let own = TagsBuilder { tags: self.tags.clone(), members: self.members.to_vec() };
        let named = self.reserved.iter().zip(values);
        named.fold(own, |tags, (name, value)| tags.add(Arc::clone(name), value)).build()
    }

    /// Returns `"metadata":{…}`, with a comma if something follows.
    fn member(&self, followed: bool) -> Bytes {
        self.whole.slice(..self.whole.len() - usize::from(!followed))
    }

    /// Returns `{…}`.
    fn object(&self) -> Bytes {
        self.whole.slice(METADATA.len() + 3..self.whole.len() - 1)
    }

    /// Returns the members of that object, with a comma if something follows.
    fn members(&self, followed: bool) -> Bytes {
        let comma = usize::from(!followed && !self.members.is_empty());
        self.members.slice(..self.members.len() - comma)
    }
}

/// A builder of tags.
#[derive(Default)]
struct TagsBuilder {
    tags: Vec<WrittenTag>,
    members: Vec<u8>,
}

impl TagsBuilder {
    fn add(mut self, name: Arc<str>, value: &str) -> Self {
        let start = self.members.len();
        self.members.extend_from_slice(Json::from(&*name).to_string().as_bytes());
        self.members.push(b':');
        let literal = self.members.len();
        self.members.extend_from_slice(Json::from(value).to_string().as_bytes());
        let literal = literal..self.members.len();
        self.members.push(b',');
        let member = start..self.members.len();
        self.tags.push(WrittenTag { name, value: value.into(), member, literal });
        self
    }

    fn build(self) -> Tags {
        let members = self.members.strip_suffix(b",").unwrap_or_default();
        let whole = [b"\"", METADATA.as_bytes(), b"\":{", members, b"},"].concat();
        Tags { tags: self.tags, reserved: Vec::new(), whole: whole.into(), members: self.members.into() }
    }
}

impl Start<'_> {
    /// Returns the splices that write `tags` into this body's `metadata`, in the order of the body. All other bytes
    /// stay.
    ///
    /// A tag that the caller sent with the same value is not changed. `metadata: null` is replaced.
    ///
    /// # Errors
    ///
    /// A fault for each reserved name and for each that looks like one of the gateway's; with [`OnConflict::Reject`], also for each
    /// tag that the caller sent with another value.
    pub fn tag(&self, tags: &Tags, on_conflict: OnConflict) -> Result<Vec<Splice>, Vec<Fault>> {
        match self.metadata() {
            None => {
                let root = self.outline.root();
                let at = root.span().start + 1;
                Ok(vec![Splice { at: at..at, with: tags.member(root.members().next().is_some()) }])
            }
            Some(metadata) if metadata.kind() == Kind::Null => {
                Ok(vec![Splice { at: metadata.span(), with: tags.object() }])
            }
            Some(metadata) => tag_metadata(metadata, tags, on_conflict),
        }
    }
}

/// Returns the splices that write the tags into existing metadata.
fn tag_metadata(metadata: Value<'_>, tags: &Tags, on_conflict: OnConflict) -> Result<Vec<Splice>, Vec<Fault>> {
    let mut present = 0;
    let mut conflicts = Vec::new();
    let mut forged = Vec::new();
    let mut lookalikes = None;
    for member in metadata.members() {
        if forged.len() >= Refusal::MAX_FAULTS {
            break;
        }
        if tags.reserved.iter().any(|reserved| member.is_named(reserved)) {
            forged.push(Fault::of(member, "is set only by the gateway; leave it out"));
            continue;
        }
        let Some(tag) = tags.tags.iter().find(|tag| member.is_named(&tag.name)) else {
            if lookalikes.get_or_insert_with(|| Lookalikes::of(tags)).contain(member) {
                forged.push(Fault::of(member, "looks like a name that the gateway sets; leave it out"));
            }
            continue;
        };
        present += 1;
        if !member.is_text(&tag.value) {
            conflicts.push((member, tag));
        }
    }
    if on_conflict == OnConflict::Reject {
        let fault = |member| Fault::of(member, "is set by the gateway to another value; leave it out");
        forged.extend(conflicts.iter().map(|(member, _)| fault(*member)));
    }
    if !forged.is_empty() {
        return Err(forged);
    }
    let at = metadata.span().start + 1;
    let mut splices = Vec::with_capacity(tags.tags.len());
    if present == 0 {
        splices.push(Splice { at: at..at, with: tags.members(metadata.members().next().is_some()) });
    } else if present < tags.tags.len() {
        let missing = tags.tags.iter().filter(|tag| metadata.get(&tag.name).is_none());
        splices.extend(missing.map(|tag| Splice { at: at..at, with: tags.members.slice(tag.member.clone()) }));
    }
    let value = |tag: &WrittenTag| tags.members.slice(tag.literal.clone());
    splices.extend(conflicts.iter().map(|(member, tag)| Splice { at: member.span(), with: value(tag) }));
    Ok(splices)
}

/// Names that a parser may take for one of the gateway's.
struct Lookalikes<'t> {
    folded: Vec<Cow<'t, str>>,
    longest: usize,
}

impl<'t> Lookalikes<'t> {
    fn of(tags: &'t Tags) -> Self {
        let names = || tags.tags.iter().map(|tag| &tag.name).chain(&tags.reserved);
        let folded: Vec<_> = names().map(|name| folded(name, usize::MAX - 1)).collect();
        let longest = folded.iter().map(|name| name.chars().count()).max().unwrap_or_default();
        Self { folded, longest }
    }

    fn contain(&self, member: Value<'_>) -> bool {
        member.name().is_some_and(|name| {
            let name = folded(&name, self.longest);
            self.folded.contains(&name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::splice;

    fn tags() -> Tags {
        Tags::new([("tenant", "billing"), ("te\"am", "b\\\u{1}é")].map(|(name, value)| (name.into(), value.into())))
    }

    fn sent(body: &'static str, on_conflict: OnConflict) -> Result<String, Vec<Fault>> {
        let splices = Start::parse(body.as_bytes()).unwrap().tag(&tags(), on_conflict)?;
        let pieces = splice(&Bytes::from_static(body.as_bytes()), splices).unwrap();
        Ok(String::from_utf8(pieces.concat()).unwrap())
    }

    fn tagged(body: &'static str) -> String {
        sent(body, OnConflict::Reject).unwrap()
    }

    const MEMBERS: &str = r#""tenant":"billing","te\"am":"b\\\u0001é""#;

    #[test]
    fn absent_metadata_is_one_insertion_behind_the_brace() {
        assert_eq!(tagged(" { } "), format!(" {{\"metadata\":{{{MEMBERS}}} }} "));
        assert_eq!(tagged("\n{ \"later\": 1e0}"), format!("\n{{\"metadata\":{{{MEMBERS}}}, \"later\": 1e0}}"));
        let start = Start::parse(b"{}").unwrap();
        assert_eq!(start.tag(&tags(), OnConflict::Reject).unwrap().len(), 1);
    }

    #[test]
    fn the_inserted_text_is_shared_between_requests() {
        let tags = tags();
        let with = |body| Start::parse(body).unwrap().tag(&tags, OnConflict::Reject).unwrap()[0].with.as_ptr();
        assert_eq!(with(b"{}"), with(b"{\"version\":1}"));
    }

    #[test]
    fn null_is_replaced_where_it_stands() {
        assert_eq!(
            tagged(r#"{"a":1,"met\u0061data" : null ,"b":2}"#),
            format!("{{\"a\":1,\"met\\u0061data\" : {{{MEMBERS}}} ,\"b\":2}}")
        );
    }

    #[test]
    fn tags_that_are_missing_are_inserted_behind_the_brace_of_metadata() {
        assert_eq!(tagged(r#"{"metadata": { }}"#), format!("{{\"metadata\": {{{MEMBERS} }}}}"));
        assert_eq!(tagged(r#"{"metadata":{ "k" : "" }}"#), format!("{{\"metadata\":{{{MEMBERS}, \"k\" : \"\" }}}}"));
        assert_eq!(
            tagged(r#"{"metadata":{"k":"","te\u0022am":"b\u005c\u0001é"}}"#),
            r#"{"metadata":{"tenant":"billing","k":"","te\u0022am":"b\u005c\u0001é"}}"#
        );
    }

    #[test]
    fn a_tag_with_the_gateways_value_stays_as_it_was_sent() {
        let body = r#"{"metadata":{"te\"am":"b\\\u0001\u00e9","tenant":"b\u0069lling"}}"#;
        assert_eq!(tagged(body), body);
    }

    #[test]
    fn a_tag_with_another_value_is_rejected_or_overwritten() {
        let body = r#"{"metadata":{"k":"v","ten\u0061nt" : "other","te\"am":""},"x":"other"}"#;
        let faults = sent(body, OnConflict::Reject).unwrap_err();
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/metadata/tenant", "/metadata/te\"am"]);
        assert_eq!(
            sent(body, OnConflict::Overwrite).unwrap(),
            r#"{"metadata":{"k":"v","ten\u0061nt" : "billing","te\"am":"b\\\u0001é"},"x":"other"}"#
        );
        let body = r#"{"metadata":{"tenant":"other"}}"#;
        assert_eq!(
            sent(body, OnConflict::Overwrite).unwrap(),
            r#"{"metadata":{"te\"am":"b\\\u0001é","tenant":"billing"}}"#
        );
    }

    #[test]
    fn the_character_for_half_a_surrogate_pair_is_not_mistaken_for_it() {
        let tags = Tags::new([("tenant".to_owned(), "\u{fffd}".to_owned())]);
        let tag = |body: &str| Start::parse(body.as_bytes()).unwrap().tag(&tags, OnConflict::Reject).is_ok();
        assert!(tag("{\"metadata\":{\"tenant\":\"\u{fffd}\"}}"));
        assert!(!tag(r#"{"metadata":{"tenant":"\ud800"}}"#));
    }

    #[test]
    fn a_reserved_name_is_the_gateways_to_write_and_nobody_elses_however_conflicts_are_met() {
        let tags = tags().reserve(&["digest", "body"]);
        let tag = |body: &'static str, tags: &Tags, on_conflict| {
            let start = Start::parse(body.as_bytes()).unwrap();
            let pieces = splice(&Bytes::from_static(body.as_bytes()), start.tag(tags, on_conflict)?).unwrap();
            Ok(String::from_utf8(pieces.concat()).unwrap())
        };
        for on_conflict in [OnConflict::Reject, OnConflict::Overwrite] {
            for (body, pointer) in [
                (r#"{"metadata":{"d\u0069gest":""}}"#, "/metadata/digest"),
                (r#"{"metadata":{"body":"b1"}}"#, "/metadata/body"),
            ] {
                let faults: Vec<Fault> = tag(body, &tags, on_conflict).unwrap_err();
                assert_eq!(faults.len(), 1);
                assert_eq!(faults[0].pointer, pointer);
            }
            assert_eq!(tag("{}", &tags, on_conflict).unwrap(), tagged("{}"), "it is not written by itself");
            let written = tag("{}", &tags.with_reserved(&["d1", "b1"]), on_conflict).unwrap();
            assert_eq!(written, format!("{{\"metadata\":{{{MEMBERS},\"digest\":\"d1\",\"body\":\"b1\"}}}}"));
        }
        let forged = r#"{"metadata":{"digest":"d2"}}"#;
        assert!(tag(forged, &tags.with_reserved(&["d1", "b1"]), OnConflict::Reject).is_err());
        let written = tag(forged, &tags.with_reserved(&["d1", "b1"]), OnConflict::Overwrite).unwrap();
        assert!(written.contains(r#""digest":"d1""#) && !written.contains("d2"), "{written}");
    }

    #[test]
    fn the_later_of_two_values_of_a_tag_holds() {
        let pairs = [("a", "1"), ("b", "2"), ("a", "3")];
        let tags = Tags::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(tags.object(), r#"{"a":"3","b":"2"}"#);
    }

    #[test]
    fn the_configuration_says_reject_or_overwrite() {
        let read = |text| serde_json::from_str::<OnConflict>(text).ok();
        assert_eq!(read("\"reject\""), Some(OnConflict::Reject));
        assert_eq!(read("\"overwrite\""), Some(OnConflict::Overwrite));
        assert_eq!(read("\"Reject\""), None);
        assert_eq!(OnConflict::default(), OnConflict::Reject);
    }
}
