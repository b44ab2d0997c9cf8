//! `GET /executions` and `GET /executions/{executionId}`, as the SDKs of both eras read them.
//!
//! It is not known how the real Asteroid treats an unknown parameter; here it is ignored. If a parameter that should
//! appear once is repeated, its last value counts.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::{SimulatedExecution, Simulator, execute};

/// The number of items of a page if the query does not say it, and the largest that it may say.
const DEFAULT_PAGE_SIZE: usize = 20;
const MAX_PAGE_SIZE: usize = 100;

/// The organisation of all executions. It is also used for ids on which nothing here depends.
pub const ORGANIZATION: &str = "5a3c1f0e-6f0b-4d57-8f1c-0d1b6a0c9e21";

/// The ways in which the listing differs from the started executions.
///
/// As JSON: `{"lags": false, "lag_ms": 0, "filters": "both", "blind": null, "shows_metadata": true, "needs_organization":
/// false}`; all members are optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListingBehaviour {
    /// Whether new executions are not listed until this is set to `false`.
    pub lags: bool,
    /// The time from the start of an execution until it is listed, in milliseconds.
    pub lag_ms: u64,
    /// The known filters by metadata; others are ignored like every unknown parameter.
    pub filters: Filters,
    /// Those filters that find nothing.
    pub blind: Option<Filters>,
    /// Whether the items contain their metadata.
    pub shows_metadata: bool,
    /// Whether `organizationId` is required, as for an API key that spans organisations.
    pub needs_organization: bool,
}

impl Default for ListingBehaviour {
    fn default() -> ListingBehaviour {
        ListingBehaviour {
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
    /// `metadata=key=value`, which may be repeated, of the newer era.
    Repeated,
}

impl Filters {
    fn includes(self, filter: Filters) -> bool {
        self == Filters::Both || self == filter
    }
}

/// The query of a request for the listing.
#[derive(Debug, Default)]
struct Query<'a> {
    key: Option<Cow<'a, str>>,
    value: Option<Cow<'a, str>>,
    /// The metadata, all of which must match.
    metadata: Vec<(String, String)>,
    /// Whether a filter by metadata is one that finds nothing.
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
    fn read<'q>(query: &'q str, listing: &ListingBehaviour) -> Result<Query<'q>, Refusal> {
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
                    read.page_size = Some(number(&value, MAX_PAGE_SIZE, "pageSize must be an integer from 1 to 100")?);
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
            return Err(Refusal::bad("organizationId is required: the API key spans organisations"));
        }
        Ok(read)
    }

    fn matches(&self, execution: &SimulatedExecution) -> bool {
        let has = |(key, value): &(String, String)| execution.metadata.get(key).is_some_and(|has| has == value);
        !self.is_blind
            && self.organization.as_ref().is_none_or(|id| id == ORGANIZATION)
            && self.metadata.iter().all(has)
            && self.execution_id.as_ref().is_none_or(|part| execution.id.contains(part))
            && [&self.agent_id, &self.workflow_id].into_iter().flatten().all(|id| id == execution.started_by())
    }
}

fn number(value: &str, max: usize, rule: &str) -> Result<usize, Refusal> {
    value.parse().ok().filter(|number| (1..=max).contains(number)).ok_or_else(|| Refusal::bad(rule))
}

impl Simulator {
    /// Returns the ways in which the listing differs from the started executions.
    #[must_use]
    pub fn listing(&self) -> ListingBehaviour {
        self.lock().listing
    }

    /// Changes the ways in which the listing differs from the started executions.
    pub fn set_listing(&self, listing: ListingBehaviour) {
        let mut state = self.lock();
        state.listing = listing;
        if !listing.lags {
            state.executions.iter_mut().for_each(|execution| execution.listed = true);
        }
    }

    pub(super) fn list(&self, query: &str) -> Result<Value, Refusal> {
        let state = self.lock();
        let query = Query::read(query, &state.listing)?;
        let (page, size) = (query.page.unwrap_or(1), query.page_size.unwrap_or(DEFAULT_PAGE_SIZE));
        let (lag, now) = (Duration::from_millis(state.listing.lag_ms), Instant::now());
        let is_listed =
            |execution: &SimulatedExecution| execution.listed && now.duration_since(execution.started) >= lag;
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

    /// Returns the execution with this id, even if the listing does not show it yet.
    pub(super) fn find(&self, id: &str) -> Result<Value, Refusal> {
        let state = self.lock();
        let found = state.executions.iter().find(|execution| execution.id == id);
        found.map(item).ok_or_else(not_found)
    }

    /// Deletes the execution with this id.
    pub(super) fn delete(&self, id: &str) -> Result<(), Refusal> {
        let mut state = self.lock();
        let found = state.executions.iter().position(|execution| execution.id == id).ok_or_else(not_found)?;
        state.executions.remove(found);
        Ok(())
    }

    /// Returns an execution that repeats this one, which is marked as rerun even if a fault prevents the rerun.
    pub(super) fn rerun(&self, id: &str) -> Result<SimulatedExecution, Refusal> {
        let mut state = self.lock();
        let found = state.executions.iter_mut().find(|execution| execution.id == id).ok_or_else(not_found)?;
        found.rerun = true;
        Ok(execute::rerun(found))
    }
}

fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "no such execution")
}

/// Returns an `AgentsExecutionListItem` with the members that either era requires, and the metadata.
fn item(execution: &SimulatedExecution) -> Value {
    json!({
        "id": execution.id,
        // The same id names both: the newer SDK describes its agentId filter as "Filter by workflow ID".
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
