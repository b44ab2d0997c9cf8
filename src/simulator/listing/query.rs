//! The query of a request for the listing.
//!
//! If a parameter that should appear once is repeated, its last value counts. `createdAfter`, `createdBefore` and
//! `createdWithin` are accepted and change nothing.

use std::borrow::Cow;

use serde_json::Value;

use super::super::SimulatedExecution;
use super::super::api::Api;
use super::super::execution::{LABEL, ORGANIZATION};
use super::super::refusal::Refusal;
use super::super::status::{Phase, Status};
use super::{Filters, ListingBehaviour, UnknownParameters};

/// The largest page. That of the real Asteroid is not known.
const MAX_PAGE_SIZE: usize = 100;

/// The parameters of both eras, without those for metadata.
const PARAMETERS: [&str; 18] = [
    "organizationId",
    "page",
    "pageSize",
    "executionId",
    "agentId",
    "agentProfileIds",
    "status",
    "humanLabels",
    "triggerSource",
    "outcomeLabel",
    "inputsKey",
    "inputsValue",
    "workflowVersion",
    "hasScriptFailures",
    "createdAfter",
    "createdBefore",
    "sortField",
    "sortDirection",
];

/// The parameters of the newer era alone.
const NEWER_PARAMETERS: [&str; 6] = ["workflowId", "profileIds", "phase", "createdWithin", "sort", "batchId"];

#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    pub(super) page: Option<usize>,
    pub(super) page_size: Option<usize>,
    key: Option<Cow<'a, str>>,
    value: Option<Cow<'a, str>>,
    /// The metadata, all of which must match.
    metadata: Vec<(String, String)>,
    /// Whether a part of a value matches, in any case.
    is_partial: bool,
    /// Whether a filter is one that finds nothing.
    is_blind: bool,
    organization: Option<Cow<'a, str>>,
    /// In lower case, like every text of which a part matches.
    execution_id: Option<String>,
    agent_id: Option<Cow<'a, str>>,
    workflow_id: Option<Cow<'a, str>>,
    profiles: Vec<Cow<'a, str>>,
    statuses: Vec<Status>,
    phases: Vec<Phase>,
    labels: Vec<Cow<'a, str>>,
    sources: Vec<Cow<'a, str>>,
    outcome: Option<String>,
    inputs_key: Option<Cow<'a, str>>,
    inputs_value: Option<String>,
    version: Option<i64>,
    has_failures: Option<bool>,
    sort: Option<Cow<'a, str>>,
    sort_field: Option<SortField>,
    is_ascending: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SortField {
    CreatedAt,
    Status,
}

impl<'a> Query<'a> {
    pub(super) fn read(query: &'a str, listing: &ListingBehaviour, api: Api) -> Result<Query<'a>, Refusal> {
        let of_era = if api.has_workflows() { Filters::Both } else { Filters::Pair };
        let filters = listing.filters.unwrap_or(of_era);
        let is_blind = |filter| matches!(listing.blind, Some(blind) if blind.includes(filter));
        let knows = |name: &str| match name {
            "metadataKey" | "metadataValue" => filters.includes(Filters::Pair),
            "metadata" => filters.includes(Filters::Repeated),
            _ => PARAMETERS.contains(&name) || (api.has_workflows() && NEWER_PARAMETERS.contains(&name)),
        };
        let mut read = Query { is_partial: listing.partial, ..Query::default() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match listing.unknown {
                _ if knows(&name) => read.add(&name, value)?,
                UnknownParameters::Ignore => {}
                UnknownParameters::Reject => return Err(Refusal::bad(format!("unknown parameter {name}"))),
            }
        }
        read.is_blind |= !read.metadata.is_empty() && is_blind(Filters::Repeated);
        match (read.key.take(), read.value.take()) {
            (Some(key), Some(value)) => {
                read.metadata.push((key.into_owned(), value.into_owned()));
                read.is_blind |= is_blind(Filters::Pair);
            }
            (None, None) => {}
            _ => return Err(Refusal::bad("metadataKey and metadataValue must be used together")),
        }
        if read.inputs_key.is_some() != read.inputs_value.is_some() {
            return Err(Refusal::bad("inputsKey and inputsValue must be used together"));
        }
        if listing.needs_organization && read.organization.is_none() {
            return Err(Refusal::bad("organizationId is required: the API key spans organisations"));
        }
        read.split_sort()?;
        Ok(read)
    }

    /// Adds a parameter that is known.
    fn add(&mut self, name: &str, value: Cow<'a, str>) -> Result<(), Refusal> {
        let wrong = |rule: &str| Refusal::bad(format!("{name} must be {rule}"));
        match name {
            "metadataKey" => self.key = Some(value),
            "metadataValue" => self.value = Some(value),
            "metadata" => {
                let (key, value) = value.split_once('=').ok_or_else(|| wrong("key=value"))?;
                self.metadata.push((key.to_owned(), value.to_owned()));
            }
            "organizationId" => self.organization = Some(value),
            "executionId" => self.execution_id = Some(value.to_lowercase()),
            "agentId" => self.agent_id = Some(value),
            "workflowId" => self.workflow_id = Some(value),
            "agentProfileIds" | "profileIds" => self.profiles.push(value),
            "status" => self.statuses.push(Status::parse(&value).ok_or_else(|| wrong("a status"))?),
            "phase" => self.phases.push(Phase::parse(&value).ok_or_else(|| wrong("pending, active or terminal"))?),
            "humanLabels" => self.labels.push(value),
            "triggerSource" => self.sources.push(value),
            "outcomeLabel" => self.outcome = Some(value.to_lowercase()),
            "inputsKey" => self.inputs_key = Some(value),
            "inputsValue" => self.inputs_value = Some(value.to_lowercase()),
            "workflowVersion" => self.version = Some(value.parse().map_err(|_| wrong("an integer"))?),
            "hasScriptFailures" => self.has_failures = Some(value.parse().map_err(|_| wrong("true or false"))?),
            "sort" => self.sort = Some(value),
            "sortField" => self.sort_field = Some(sort_field(&value).ok_or_else(|| wrong("a field to sort by"))?),
            "sortDirection" => self.is_ascending = Some(is_ascending(&value).ok_or_else(|| wrong("asc or desc"))?),
            "page" => self.page = Some(number(&value, usize::MAX).ok_or_else(|| wrong("an integer of at least 1"))?),
            "pageSize" => {
                let size = number(&value, MAX_PAGE_SIZE).ok_or_else(|| wrong("an integer from 1 to 100"))?;
                self.page_size = Some(size);
            }
            // No execution belongs to a batch.
            "batchId" => self.is_blind = true,
            _ => {}
        }
        Ok(())
    }

    /// Takes `sort` apart, the short form of the other two.
    fn split_sort(&mut self) -> Result<(), Refusal> {
        let Some(sort) = self.sort.take() else { return Ok(()) };
        if self.sort_field.is_some() || self.is_ascending.is_some() {
            return Err(Refusal::bad("sort cannot be combined with sortField or sortDirection"));
        }
        let read = sort.split_once(':').and_then(|(field, order)| Some((sort_field(field)?, is_ascending(order)?)));
        let (field, order) = read.ok_or_else(|| Refusal::bad("sort must be field:direction"))?;
        (self.sort_field, self.is_ascending) = (Some(field), Some(order));
        Ok(())
    }

    pub(super) fn matches(&self, execution: &SimulatedExecution) -> bool {
        let any_of = |values: &[Cow<'_, str>], own: Option<&str>| {
            values.is_empty() || own.is_some_and(|own| values.iter().any(|value| value == own))
        };
        let status = execution.life.status;
        let outcome = || execution.result().and_then(|result| Some(result.get("outcome")?.as_str()?.to_owned()));
        !self.is_blind
            && self.organization.as_ref().is_none_or(|id| id == ORGANIZATION)
            && self.metadata.iter().all(|pair| self.has(execution, pair))
            && self.execution_id.as_ref().is_none_or(|part| execution.id.contains(part))
            && [&self.agent_id, &self.workflow_id].into_iter().flatten().all(|id| id == execution.started_by())
            && any_of(&self.profiles, execution.profile_id.as_deref())
            && (self.statuses.is_empty() || self.statuses.contains(&status))
            && (self.phases.is_empty() || self.phases.contains(&status.phase()))
            && any_of(&self.labels, execution.life.has_staff_notes().then_some(LABEL))
            && any_of(&self.sources, Some("api"))
            && self.outcome.as_ref().is_none_or(|part| outcome().is_some_and(|outcome| outcome.contains(part)))
            && self.has_input(execution)
            && self.version.is_none_or(|version| version == execution.version)
            && self.has_failures != Some(true)
    }

    fn has(&self, execution: &SimulatedExecution, (key, value): &(String, String)) -> bool {
        execution
            .metadata
            .get(key)
            .is_some_and(|own| if self.is_partial { lower(own).contains(&value.to_lowercase()) } else { own == value })
    }

    fn has_input(&self, execution: &SimulatedExecution) -> bool {
        let (Some(key), Some(part)) = (&self.inputs_key, &self.inputs_value) else { return true };
        let input = execution.inputs.as_ref().and_then(|inputs| inputs.get(key.as_ref()));
        input.is_some_and(|input| lower(input).contains(part))
    }

    /// Sorts executions that are in the order of their starts.
    pub(super) fn sort(&self, executions: &mut [&SimulatedExecution]) {
        if self.sort_field == Some(SortField::Status) {
            executions.sort_by_key(|execution| execution.life.status.name());
        }
        if self.is_ascending != Some(true) {
            executions.reverse();
        }
    }
}

/// Returns a value's text in lower case, without the quotes of a string.
fn lower(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).to_lowercase()
}

fn sort_field(name: &str) -> Option<SortField> {
    match name {
        // Nothing waits in a queue by itself, so both orders are the same.
        "created_at" | "started_at" => Some(SortField::CreatedAt),
        "status" => Some(SortField::Status),
        _ => None,
    }
}

fn is_ascending(name: &str) -> Option<bool> {
    match name {
        "asc" => Some(true),
        "desc" => Some(false),
        _ => None,
    }
}

fn number(value: &str, max: usize) -> Option<usize> {
    value.parse().ok().filter(|number| (1..=max).contains(number))
}
