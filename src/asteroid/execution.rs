//! Finds executions again by the metadata that they carry.
//!
//! Sources: the listing of both eras of the SDK. The specification's era filters by one pair of `metadataKey` and
//! `metadataValue`, the newer one by `metadata=key=value`. How soon an execution is listed is unknown, and so is what a
//! server does with a filter of the other era; one that ignored it would list the executions of others, too.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The path of a listing, as the specification writes it.
const LISTING: &str = "/executions";

/// Returns path and query, below the base, of the smallest listing of both eras. An API key that may list it is valid.
#[must_use]
pub fn smallest_listing(organization: Option<Uuid>) -> String {
    format!("{LISTING}?pageSize=1{}", organization_parameter(organization))
}

/// Returns the parameter that a listing needs if the API key spans organisations.
fn organization_parameter(organization: Option<Uuid>) -> String {
    organization.map(|id| format!("&organizationId={id}")).unwrap_or_default()
}

/// A metadata key and its value.
#[derive(Debug, Clone, Copy)]
pub struct Tag<'a> {
    /// The key.
    pub name: &'a str,
    /// The value.
    pub value: &'a str,
}

/// The parameters that filter a listing by a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// `metadataKey` and `metadataValue`.
    Pair,
    /// `metadata=key=value`.
    Joined,
}

impl Filter {
    /// Both filters, that of the specification first.
    pub const ALL: [Filter; 2] = [Filter::Pair, Filter::Joined];

    /// Returns path and query, below the base, of a listing of at most `size` executions with a tag that needs no encoding in a
    /// query.
    #[must_use]
    pub fn listing(self, Tag { name, value }: Tag<'_>, size: usize, organization: Option<Uuid>) -> String {
        let filter = match self {
            Filter::Pair => format!("metadataKey={name}&metadataValue={value}"),
            Filter::Joined => format!("metadata={name}%3D{value}"),
        };
        format!("{LISTING}?{filter}&pageSize={size}{}", organization_parameter(organization))
    }

    /// Returns its name in the log and the metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Filter::Pair => "metadataKey",
            Filter::Joined => "metadata",
        }
    }
}

/// Returns the path, below the base, of one execution.
#[must_use]
pub fn path(id: Uuid) -> String {
    format!("/executions/{id}")
}

/// The page of a listing that was filtered by a tag.
#[derive(Debug, PartialEq, Eq)]
pub enum ListingPage {
    /// All executions that carry the tag. If it is empty, there are none.
    All(Vec<Execution>),
    /// All executions that may carry the tag, without their metadata.
    WithoutMetadata(Vec<Uuid>),
    /// A part of the executions that may carry the tag: the page is too short.
    Truncated,
    /// Executions without the tag: the filter was not understood.
    Unfiltered,
}

/// `AgentsExecutionListItem`, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// Its id.
    pub id: Uuid,
    metadata: Option<Map<String, Value>>,
    status: Option<Value>,
    created_at: Option<String>,
    parent_execution_id: Option<String>,
}

#[derive(Deserialize)]
struct Listing {
    items: Vec<Execution>,
    total: u64,
}

impl Execution {
    /// Returns the value of a tag, if the execution has it.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(name)?.as_str()
    }

    /// Returns its status.
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        self.status.as_ref()?.as_str()
    }

    /// Returns whether it is no rerun: it continues no execution, or that of the start.
    fn is_first_of(&self, parent: Option<Uuid>) -> bool {
        let Some(continued) = &self.parent_execution_id else { return true };
        parent.is_some_and(|parent| Uuid::try_parse(continued) == Ok(parent))
    }

    fn carries(&self, tag: Tag<'_>) -> bool {
        self.tag(tag.name) == Some(tag.value)
    }

    /// Returns the time of its creation, if that is written in UTC. Both eras do so, with or without a colon in the offset.
    fn created(&self) -> Option<SystemTime> {
        let written = self.created_at.as_deref()?;
        let time = ["Z", "+00:00", "+0000"].into_iter().find_map(|utc| written.strip_suffix(utc))?;
        humantime::parse_rfc3339(&format!("{time}Z")).ok()
    }
}

/// Returns the execution that was started first, of several with the same tag, if they show which it is. An execution that was
/// repeated has the tag of the first, and names that as its parent. The first names the execution that its start continued, if there is
/// one.
#[must_use]
pub fn first(executions: &[Execution], parent: Option<Uuid>) -> Option<&Execution> {
    let mut own = executions.iter().filter(|execution| execution.is_first_of(parent));
    let mut first = own.next()?;
    for other in own {
        match first.created()?.cmp(&other.created()?) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Greater => first = other,
        }
    }
    Some(first)
}

/// Parses a listing that was filtered by a tag.
///
/// # Errors
///
/// If the body is not a listing.
pub fn parse_listing(body: &[u8], tag: Tag<'_>) -> serde_json::Result<ListingPage> {
    let Listing { items, total } = serde_json::from_slice(body)?;
    let is_bare = !items.is_empty() && items.iter().all(|item| item.metadata.is_none());
    if !is_bare && !items.iter().all(|item| item.carries(tag)) || items.is_empty() && total > 0 {
        return Ok(ListingPage::Unfiltered);
    }
    Ok(match u64::try_from(items.len()) {
        Ok(shown) if shown < total => ListingPage::Truncated,
        _ if is_bare => ListingPage::WithoutMetadata(items.iter().map(|item| item.id).collect()),
        _ => ListingPage::All(items),
    })
}

/// Parses one execution. Returns `None` if it does not carry the tag.
///
/// # Errors
///
/// If the body is not an execution.
pub fn parse_execution(body: &[u8], tag: Tag<'_>) -> serde_json::Result<Option<Execution>> {
    Ok(Some(serde_json::from_slice::<Execution>(body)?).filter(|execution| execution.carries(tag)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TAG: Tag<'_> = Tag { name: "digest", value: "d1" };

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn shown(items: Value, total: u64) -> ListingPage {
        parse_listing(json!({ "items": items, "total": total, "page": 1, "pageSize": 2 }).to_string().as_bytes(), TAG)
            .unwrap()
    }

    fn ids(listed: ListingPage) -> Vec<Uuid> {
        let ListingPage::All(executions) = listed else { panic!("{listed:?}") };
        executions.iter().map(|execution| execution.id).collect()
    }

    #[test]
    fn executions_are_found_if_the_listing_shows_that_it_understood_and_that_there_are_no_more() {
        let own = |n| json!({ "id": id(n), "metadata": { "digest": "d1", "team": "b" }, "status": "failed" });
        let other = json!({ "id": id(9), "metadata": { "digest": "d2" } });
        let bare = |n| json!({ "id": id(n) });
        assert_eq!(shown(json!([]), 0), ListingPage::All(Vec::new()));
        assert_eq!(ids(shown(json!([own(1)]), 1)), [id(1)]);
        assert_eq!(ids(shown(json!([own(1), own(2)]), 2)), [id(1), id(2)]);
        assert_eq!(shown(json!([own(1)]), 2), ListingPage::Truncated, "a page that is shorter than what there is");
        assert_eq!(shown(json!([bare(1)]), 1), ListingPage::WithoutMetadata(vec![id(1)]));
        assert_eq!(shown(json!([bare(1), bare(2)]), 7), ListingPage::Truncated);
        for (unfiltered, total) in [
            (json!([other]), 1),
            (json!([own(1), other]), 2),
            (json!([own(1), other]), 7),
            (json!([own(1), bare(2)]), 2),
            (json!([{ "id": id(1), "metadata": {} }]), 1),
            (json!([{ "id": id(1), "metadata": { "digest": 1 } }]), 1),
            (json!([]), 3),
        ] {
            assert_eq!(shown(unfiltered.clone(), total), ListingPage::Unfiltered, "{unfiltered}");
        }
    }

    #[test]
    fn of_several_executions_the_one_that_was_created_first_and_is_no_repeat_is_the_first() {
        let first = |items: &[(u128, Option<&str>, bool)]| {
            let item = |(n, created, repeats): &(u128, Option<&str>, bool)| {
                let parent = repeats.then(|| id(77));
                json!({ "id": id(*n), "metadata": { "digest": "d1" }, "createdAt": created, "parentExecutionId": parent })
            };
            let items: Vec<Value> = items.iter().map(item).collect();
            let ListingPage::All(all) = shown(json!(items), items.len() as u64) else { panic!() };
            let unnamed = super::first(&all, None).map(|execution| execution.id);
            assert_eq!(super::first(&all, Some(id(78))).map(|execution| execution.id), unnamed, "of another parent");
            unnamed
        };
        let (early, late) = (Some("2026-11-01T00:00:00Z"), Some("2026-11-01T00:00:00.001+0000"));
        assert_eq!(first(&[]), None);
        assert_eq!(first(&[(1, None, false)]), Some(id(1)));
        assert_eq!(first(&[(1, late, false), (2, early, false)]), Some(id(2)));
        assert_eq!(first(&[(1, early, false), (2, late, false), (3, late, false)]), Some(id(1)));
        assert_eq!(
            first(&[(1, early, true), (2, late, false)]),
            Some(id(2)),
            "the first was deleted, or its clock is behind"
        );
        assert_eq!(first(&[(1, None, true), (2, None, false)]), Some(id(2)));
        assert_eq!(first(&[(1, early, true)]), None, "the first is gone, and a repeat is another run");
        assert_eq!(first(&[(1, early, false), (2, early, false)]), None);
        for unclear in [None, Some("yesterday"), Some("2026-11-01T00:00:00+02:00"), Some("2026-11-01T00:00:00")] {
            assert_eq!(first(&[(1, unclear, false), (2, early, false)]), None, "{unclear:?}");
        }
        let colon = Some("2026-10-31T23:59:59.999999+00:00");
        assert_eq!(first(&[(1, early, false), (2, colon, false)]), Some(id(2)));
    }

    #[test]
    fn a_start_that_continued_an_execution_is_told_from_the_reruns_of_what_it_started() {
        let continued =
            |n, parent| json!({ "id": id(n), "metadata": { "digest": "d1" }, "parentExecutionId": id(parent) });
        let items = json!([continued(3, 2), continued(2, 77), continued(4, 2)]);
        let ListingPage::All(all) = shown(items, 3) else { panic!() };
        let first = |parent| first(&all, parent).map(|execution| execution.id);
        assert_eq!([first(Some(id(77))), first(Some(id(9))), first(None)], [Some(id(2)), None, None]);
    }

    #[test]
    fn what_is_no_listing_is_no_proof_that_nothing_runs() {
        for body in
            ["", "{}", "[]", r#"{"items":[]}"#, r#"{"items":null,"total":0}"#, r#"{"items":[{"id":"x"}],"total":1}"#]
        {
            assert!(parse_listing(body.as_bytes(), TAG).is_err(), "{body}");
        }
    }

    #[test]
    fn one_execution_is_told_from_others_by_its_own_metadata() {
        let carries = |metadata: Value| {
            parse_execution(json!({ "id": id(1), "metadata": metadata }).to_string().as_bytes(), TAG).unwrap().is_some()
        };
        assert!(carries(json!({ "digest": "d1" })));
        assert!(!carries(json!({ "digest": "d2" })));
        assert!(!carries(Value::Null));
    }

    #[test]
    fn both_forms_of_the_filter_are_sent_and_the_organisation_if_it_is_known() {
        let asked = |organization| Filter::ALL.map(|filter| filter.listing(TAG, 2, organization));
        let pair = "/executions?metadataKey=digest&metadataValue=d1&pageSize=2";
        let joined = "/executions?metadata=digest%3Dd1&pageSize=2";
        assert_eq!(asked(None), [pair, joined]);
        let organization = format!("&organizationId={}", id(7));
        assert_eq!(asked(Some(id(7))), [pair, joined].map(|asked| asked.to_owned() + &organization));
        assert_eq!(smallest_listing(Some(id(7))), format!("/executions?pageSize=1{organization}"));
    }
}
