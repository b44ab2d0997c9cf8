//! `GET /executions`, as the SDKs of both eras read it.

mod query;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::api::Api;
use super::life::Life;
use super::plan::LifePlan;
use super::refusal::Refusal;
use super::{SimulatedExecution, Simulator};

pub use super::execution::ORGANIZATION;
use query::Query;

/// The number of items of a page if the query does not say it.
const DEFAULT_PAGE_SIZE: usize = 10;

/// The id of an execution that was not started here.
pub const FOREIGN_EXECUTION: &str = "f0e1d2c3-b4a5-4697-8879-6a5b4c3d2e1f";

/// The ways in which the listing differs from the started executions.
///
/// As JSON: `{"lags": false, "lag_ms": 0, "filters": null, "blind": null, "shows_metadata": true, "needs_organization":
/// false, "unknown": "ignore", "partial": false, "foreign": null, "total_more": 0}`; all members are optional.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListingBehaviour {
    /// Whether new executions are not listed until this is set to `false`.
    pub lags: bool,
    /// The time from the start of an execution until it is listed, in milliseconds.
    pub lag_ms: u64,
    /// The known filters by metadata; others are treated like every unknown parameter. By default, those of the era.
    pub filters: Option<Filters>,
    /// Those filters that find nothing.
    pub blind: Option<Filters>,
    /// Whether the items contain their metadata.
    pub shows_metadata: bool,
    /// Whether `organizationId` is required, as for an API key that spans organisations.
    pub needs_organization: bool,
    /// The treatment of unknown parameters. That of the real Asteroid is not known.
    pub unknown: UnknownParameters,
    /// Whether a filter by metadata finds a part of a value in any case, as other filters do.
    pub partial: bool,
    /// The metadata of an execution of somebody else that is the last item of every page.
    pub foreign: Option<Map<String, Value>>,
    /// The number of executions that `total` counts in addition.
    pub total_more: usize,
}

impl Default for ListingBehaviour {
    fn default() -> ListingBehaviour {
        ListingBehaviour {
            lags: false,
            lag_ms: 0,
            filters: None,
            blind: None,
            shows_metadata: true,
            needs_organization: false,
            unknown: UnknownParameters::Ignore,
            partial: false,
            foreign: None,
            total_more: 0,
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
    /// None.
    #[serde(rename = "none")]
    Neither,
}

/// The treatment of parameters of another era, and of those that do not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownParameters {
    /// They change nothing.
    Ignore,
    /// The answer is 400.
    Reject,
}

impl Filters {
    fn includes(self, filter: Filters) -> bool {
        self == Filters::Both || self == filter
    }
}

impl Simulator {
    /// Returns the ways in which the listing differs from the started executions.
    #[must_use]
    pub fn listing(&self) -> ListingBehaviour {
        self.lock().listing.clone()
    }

    /// Changes the ways in which the listing differs from the started executions.
    pub fn set_listing(&self, listing: ListingBehaviour) {
        let mut state = self.lock();
        let lags = listing.lags;
        state.listing = listing;
        if !lags {
            state.executions.iter_mut().for_each(|execution| execution.listed = true);
        }
    }

    pub(super) fn list(&self, query: &str) -> Result<Value, Refusal> {
        let mut state = self.lock();
        let query = Query::read(query, &state.listing, self.api)?;
        let now = Instant::now();
        state.executions.iter_mut().for_each(|execution| execution.life.advance(now));
        let listing = &state.listing;
        let lag = Duration::from_millis(listing.lag_ms);
        let is_listed = |execution: &SimulatedExecution| {
            execution.listed && now.duration_since(execution.life.started) >= lag && query.matches(execution)
        };
        let mut found: Vec<_> = state.executions.iter().filter(|execution| is_listed(execution)).collect();
        query.sort(&mut found);
        let (page, size) = (query.page.unwrap_or(1), query.page_size.unwrap_or(DEFAULT_PAGE_SIZE));
        let shown = found.iter().skip((page - 1).saturating_mul(size)).take(size);
        let mut items: Vec<Value> = shown.map(|execution| execution.item(self.api)).collect();
        let mut total = found.len() + listing.total_more;
        if let Some(metadata) = &listing.foreign {
            total += 1;
            items.truncate(size - 1);
            items.push(foreign_item(metadata, self.api));
        }
        if !listing.shows_metadata {
            for members in items.iter_mut().filter_map(Value::as_object_mut) {
                members.remove("metadata");
            }
        }
        Ok(json!({ "items": items, "page": page, "pageSize": size, "total": total }))
    }
}

/// Returns the item of an execution that somebody else started.
fn foreign_item(metadata: &Map<String, Value>, api: Api) -> Value {
    let life = Life::new(LifePlan::endless());
    let execution = SimulatedExecution {
        id: FOREIGN_EXECUTION.to_owned(),
        agent_id: Some(ORGANIZATION.to_owned()),
        workflow_id: None,
        version_id: None,
        metadata: metadata.clone(),
        inputs: None,
        options: None,
        profile_id: None,
        temp_files: Vec::new(),
        version: 1,
        created_at: life.created_at(),
        parent: None,
        rerun: false,
        listed: true,
        life,
    };
    execution.item(api)
}
