//! `GET /executions` and `GET /executions/{executionId}`, as the SDKs of both eras read them.
//!
//! What the real one does with a parameter that it does not know is unknown; here it is ignored. Of a parameter that is
//! to come once, the last counts.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::{Execution, Simulator, execute};

/// How many items a page has where nothing is said, and at most.
const PAGE_SIZE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// The organisation of all executions; it stands for every other id, too, that nothing here depends on.
pub const ORGANIZATION: &str = "5a3c1f0e-6f0b-4d57-8f1c-0d1b6a0c9e21";

/// How the listing differs from what was started.
///
/// As JSON: `{"lags": false, "lag_ms": 0, "filters": "both", "blind": null, "shows_metadata": true, "needs_organization":
/// false}`; all members may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listing {
    /// Whether what is started from now on is not listed, until this is told to be `false`.
    pub lags: bool,
    /// How long after its start an execution is listed, in milliseconds.
    pub lag_ms: u64,
    /// The filters by metadata that are known; another is ignored like every unknown parameter.
    pub filters: Filters,
    /// The filters among them that find nothing.
    pub blind: Option<Filters>,
    /// Whether the items carry their metadata.
    pub shows_metadata: bool,
    /// Whether `organizationId` is required, as where a key spans organisations.
    pub needs_organization: bool,
}

impl Default for Listing {
    fn default() -> Listing {
        Listing {
            lags: false,
            lag_ms: 0,
            filters: Filters::Both,
            blind: None,
            shows_metadata: true,
            needs_organization: false,
        }
    }
}

/// Filters by metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filters {
    /// Those of both eras.
    Both,
    /// `metadataKey` and `metadataValue`, of the specification's era.
    Pair,
    /// `metadata=key=value`, as often as is liked, of the newer era.
    Repeated,
}

impl Filters {
    fn includes(self, filter: Filters) -> bool {
        self == Filters::Both || self == filter
    }
}

/// What is asked for.
#[derive(Debug, Default)]
struct Query<'a> {
    key: Option<Cow<'a, str>>,
    value: Option<Cow<'a, str>>,
    /// All of them must match.
    metadata: Vec<(String, String)>,
    /// Whether one of them is a filter that finds nothing.
    is_blind: bool,
    organization: Option<Cow<'a, str>>,
    /// In lower case.
    execution_id: Option<String>,
    agent_id: Option<Cow<'a, str>>,
    workflow_id: Option<Cow<'a, str>>,
    page: Option<usize>,
    page_size: Option<usize>,
}

impl Query<'_> {
    fn read<'q>(query: &'q str, listing: &Listing) -> Result<Query<'q>, Refusal> {
        let (filters, is_blind) =
            (listing.filters, |filter| matches!(listing.blind, Some(blind) if blind.includes(filter)));
        let mut read = Query::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "metadataKey" if filters != Filters::Repeated => read.key = Some(value),
                "metadataValue" if filters != Filters::Repeated => read.value = Some(value),
                "metadata" if filters != Filters::Pair => {
                    let pair = value.split_once('=').ok_or_else(|| Refusal::bad("metadata must be key=value"))?;
                    read.metadata.push((pair.0.to_owned(), pair.1.to_owned()));
                    read.is_blind |= is_blind(Filters::Repeated);
                }
                "organizationId" => read.organization = Some(value),
                "executionId" => read.execution_id = Some(value.to_ascii_lowercase()),
                "agentId" => read.agent_id = Some(value),
                "workflowId" => read.workflow_id = Some(value),
                "page" => read.page = Some(number(&value, usize::MAX, "page must be an integer of at least 1")?),
                "pageSize" => {
                    read.page_size = Some(number(&value, LARGEST_PAGE, "pageSize must be an integer from 1 to 100")?);
                }
                _ => {}
            }
        }
        match (read.key.take(), read.value.take()) {
            (Some(key), Some(value)) => {
                read.metadata.push((key.into_owned(), value.into_owned()));
                read.is_blind |= is_blind(Filters::Pair);
            }
            (None, None) => {}
            _ => return Err(Refusal::bad("metadataKey and metadataValue must be used together")),
        }
        if listing.needs_organization && read.organization.is_none() {
            return Err(Refusal::bad("organizationId is required: the key spans organisations"));
        }
        Ok(read)
    }

    fn matches(&self, execution: &Execution) -> bool {
        let has = |(key, value): &(String, String)| execution.metadata.get(key).is_some_and(|has| has == value);
        !self.is_blind
            && self.organization.as_ref().is_none_or(|id| id == ORGANIZATION)
            && self.metadata.iter().all(has)
            && self.execution_id.as_ref().is_none_or(|part| execution.id.contains(part))
            && [&self.agent_id, &self.workflow_id].into_iter().flatten().all(|id| id == execution.started_by())
    }
}

fn number(value: &str, most: usize, rule: &str) -> Result<usize, Refusal> {
    value.parse().ok().filter(|number| (1..=most).contains(number)).ok_or_else(|| Refusal::bad(rule))
}

impl Simulator {
    /// How the listing differs from what was started.
    #[must_use]
    pub fn listing(&self) -> Listing {
        self.lock().listing
    }

    /// Lets the listing differ from what was started.
    pub fn set_listing(&self, listing: Listing) {
        let mut state = self.lock();
        state.listing = listing;
        if !listing.lags {
            state.executions.iter_mut().for_each(|execution| execution.listed = true);
        }
    }

    pub(super) fn list(&self, query: &str) -> Result<Value, Refusal> {
        let state = self.lock();
        let query = Query::read(query, &state.listing)?;
        let (page, size) = (query.page.unwrap_or(1), query.page_size.unwrap_or(PAGE_SIZE));
        let (lag, now) = (Duration::from_millis(state.listing.lag_ms), Instant::now());
        let is_listed = |execution: &Execution| execution.listed && now.duration_since(execution.started) >= lag;
        let found =
            || state.executions.iter().rev().filter(|execution| is_listed(execution) && query.matches(execution));
        let items = found().skip((page - 1).saturating_mul(size)).take(size).map(|execution| {
            let mut item = item(execution);
            if let (false, Value::Object(members)) = (state.listing.shows_metadata, &mut item) {
                members.remove("metadata");
            }
            item
        });
        Ok(json!({ "items": items.collect::<Vec<_>>(), "page": page, "pageSize": size, "total": found().count() }))
    }

    /// By its id, an execution is seen at once.
    pub(super) fn find(&self, id: &str) -> Result<Value, Refusal> {
        let state = self.lock();
        let found = state.executions.iter().find(|execution| execution.id == id);
        found.map(item).ok_or_else(no_such)
    }

    /// Takes one out of the list.
    pub(super) fn delete(&self, id: &str) -> Result<(), Refusal> {
        let mut state = self.lock();
        let found = state.executions.iter().position(|execution| execution.id == id).ok_or_else(no_such)?;
        state.executions.remove(found);
        Ok(())
    }

    /// Returns an execution that repeats this one, which is marked as repeated even if the rerun is not carried out.
    pub(super) fn rerun(&self, id: &str) -> Result<Execution, Refusal> {
        let mut state = self.lock();
        let found = state.executions.iter_mut().find(|execution| execution.id == id).ok_or_else(no_such)?;
        found.rerun = true;
        Ok(execute::rerun(found))
    }
}

fn no_such() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "no such execution")
}

/// `AgentsExecutionListItem`: what either era requires, and the metadata.
fn item(execution: &Execution) -> Value {
    json!({
        "id": execution.id,
        // One id names both: the newer SDK describes its agentId filter as "Filter by workflow ID".
        "agentId": execution.started_by(),
        "agentName": "A simulated agent",
        "workflowId": execution.started_by(),
        "workflowName": "A simulated workflow",
        "workflowVersionId": ORGANIZATION,
        "organizationId": ORGANIZATION,
        "status": "running",
        "createdAt": execution.created_at,
        "metadata": execution.metadata,
        "humanLabels": [],
        "comments": [],
        "parentExecutionId": execution.parent,
        "hasBeenRerun": execution.rerun,
    })
}
