//! How executions are found again: by the metadata that they carry.
//!
//! Sources: the listing of both eras of the SDK. The specification's era filters by one pair of `metadataKey` and
//! `metadataValue`, the newer one by `metadata=key=value`. How soon an execution is listed is unknown, and so is what a
//! server does with a filter of the other era; one that ignored it would list executions of anybody.

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The path of a listing, as the specification writes it.
pub const LISTING: &str = "/executions";

/// Path and query, below the base, of the smallest listing of both eras: whoever may ask for it has a valid key.
pub const ANY: &str = "/executions?pageSize=1";

/// The path of one execution, as the specification writes it.
pub const ONE: &str = "/executions/{executionId}";

/// A metadata key and its value, neither of which needs encoding in a query.
#[derive(Debug, Clone, Copy)]
pub struct Tag<'a> {
    /// The key.
    pub name: &'a str,
    /// The value.
    pub value: &'a str,
}

/// How a listing is asked for executions with a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// `metadataKey` and `metadataValue`.
    Pair,
    /// `metadata=key=value`.
    Joined,
}

impl Filter {
    /// The specification's own first.
    pub const ALL: [Filter; 2] = [Filter::Pair, Filter::Joined];

    /// Path and query, below the base, of a listing that is long enough to tell one execution from several.
    #[must_use]
    pub fn listing(self, Tag { name, value }: Tag<'_>) -> String {
        match self {
            Filter::Pair => format!("/executions?metadataKey={name}&metadataValue={value}&pageSize=2"),
            Filter::Joined => format!("/executions?metadata={name}%3D{value}&pageSize=2"),
        }
    }
}

/// The path, below the base, of one execution.
#[must_use]
pub fn path(id: Uuid) -> String {
    format!("/executions/{id}")
}

/// What a listing that was asked for a tag shows.
#[derive(Debug, PartialEq, Eq)]
pub enum Listed {
    /// No execution.
    Nothing,
    /// One, with the tag.
    One(Uuid),
    /// Some, of which it does not show the metadata.
    Bare(Vec<Uuid>),
    /// More than one with the tag.
    Several,
    /// Others: the filter was not understood.
    Unfiltered,
}

#[derive(Deserialize)]
struct Listing {
    items: Vec<Item>,
    total: u64,
}

/// `AgentsExecutionListItem`, as far as it is read.
#[derive(Deserialize)]
struct Item {
    id: Uuid,
    metadata: Option<Map<String, Value>>,
}

impl Item {
    fn carries(&self, tag: Tag<'_>) -> Option<bool> {
        let metadata = self.metadata.as_ref()?;
        Some(metadata.get(tag.name).and_then(Value::as_str) == Some(tag.value))
    }
}

/// Reads a listing.
///
/// # Errors
///
/// Where it is none.
pub fn listed(body: &[u8], tag: Tag<'_>) -> serde_json::Result<Listed> {
    let Listing { items, total } = serde_json::from_slice(body)?;
    let all = |carried| items.iter().all(|item| item.carries(tag) == carried);
    Ok(match items.as_slice() {
        [] if total == 0 => Listed::Nothing,
        [item] if total == 1 && all(Some(true)) => Listed::One(item.id),
        [_, ..] if all(Some(true)) => Listed::Several,
        [_, ..] if all(None) => Listed::Bare(items.iter().map(|item| item.id).collect()),
        _ => Listed::Unfiltered,
    })
}

/// Whether one execution carries the tag.
///
/// # Errors
///
/// Where the body is none.
pub fn carries(body: &[u8], tag: Tag<'_>) -> serde_json::Result<bool> {
    Ok(serde_json::from_slice::<Item>(body)?.carries(tag) == Some(true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TAG: Tag<'_> = Tag { name: "digest", value: "d1" };

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn shown(items: Value, total: u64) -> Listed {
        listed(json!({ "items": items, "total": total, "page": 1, "pageSize": 2 }).to_string().as_bytes(), TAG).unwrap()
    }

    #[test]
    fn one_execution_is_found_where_the_listing_shows_that_it_understood_and_that_there_is_one() {
        let own = |n| json!({ "id": id(n), "metadata": { "digest": "d1", "team": "b" }, "status": "failed" });
        let other = json!({ "id": id(9), "metadata": { "digest": "d2" } });
        let bare = |n| json!({ "id": id(n) });
        assert_eq!(shown(json!([]), 0), Listed::Nothing);
        assert_eq!(shown(json!([own(1)]), 1), Listed::One(id(1)));
        assert_eq!(shown(json!([own(1), own(2)]), 2), Listed::Several);
        assert_eq!(shown(json!([own(1)]), 2), Listed::Several, "a page that is shorter than what there is");
        assert_eq!(shown(json!([bare(1)]), 1), Listed::Bare(vec![id(1)]));
        assert_eq!(shown(json!([bare(1), bare(2)]), 7), Listed::Bare(vec![id(1), id(2)]));
        for (unfiltered, total) in [
            (json!([other]), 1),
            (json!([own(1), other]), 2),
            (json!([own(1), bare(2)]), 2),
            (json!([{ "id": id(1), "metadata": {} }]), 1),
            (json!([{ "id": id(1), "metadata": { "digest": 1 } }]), 1),
            (json!([]), 3),
        ] {
            assert_eq!(shown(unfiltered.clone(), total), Listed::Unfiltered, "{unfiltered}");
        }
    }

    #[test]
    fn what_is_no_listing_is_no_proof_that_nothing_runs() {
        for body in
            ["", "{}", "[]", r#"{"items":[]}"#, r#"{"items":null,"total":0}"#, r#"{"items":[{"id":"x"}],"total":1}"#]
        {
            assert!(listed(body.as_bytes(), TAG).is_err(), "{body}");
        }
    }

    #[test]
    fn one_execution_is_told_from_others_by_its_own_metadata() {
        let carries =
            |metadata: Value| carries(json!({ "id": id(1), "metadata": metadata }).to_string().as_bytes(), TAG);
        assert!(carries(json!({ "digest": "d1" })).unwrap());
        assert!(!carries(json!({ "digest": "d2" })).unwrap());
        assert!(!carries(Value::Null).unwrap());
    }

    #[test]
    fn both_forms_of_the_filter_are_asked_with() {
        let asked = Filter::ALL.map(|filter| filter.listing(TAG));
        assert_eq!(
            asked,
            [
                "/executions?metadataKey=digest&metadataValue=d1&pageSize=2",
                "/executions?metadata=digest%3Dd1&pageSize=2"
            ]
        );
    }
}
