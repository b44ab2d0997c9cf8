//! The exposition of metrics at `/metrics`: every series of the table, collected at each request.

mod format;

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::audit;
use crate::counter::Counter;
use crate::credential::{Credential, CredentialProblem, CredentialStatus, Credentials};
use crate::metrics::duration::Histogram;
use crate::metrics::table::{self, Kind, Name};
use crate::metrics::{CloseReason, Label};
use crate::record::Sinks;
use crate::state::{IdempotencyResult, ListingCheckState, Meters, State};

use format::to_prometheus;

pub use format::ExpositionFormat;

/// The exposition of a process's metrics. Its clones share their sources.
#[derive(Debug, Clone)]
pub struct Exposition(Arc<MetricSources>);

/// The sources of all series.
#[derive(Debug)]
pub struct MetricSources {
    /// The metrics of the process.
    pub sinks: Arc<Sinks>,
    /// The meters of tenants, and the claims of idempotency keys.
    pub state: Arc<State>,
    /// The credentials.
    pub credentials: Arc<Credentials>,
    /// The limit of callers' connections.
    pub capacity: usize,
    /// The upstream's host and port.
    pub upstream: (String, u16),
}

impl Exposition {
    /// Creates an exposition of these sources.
    #[must_use]
    pub fn new(sources: MetricSources) -> Exposition {
        Exposition(Arc::new(sources))
    }

    /// Returns the current values of all series as text.
    #[must_use]
    pub fn text(&self, format: ExpositionFormat) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        // Writing into memory does not fail.
        text::encode(&mut text, &registry).ok();
        match format {
            ExpositionFormat::OpenMetrics => text,
            ExpositionFormat::Prometheus => to_prometheus(&text),
        }
    }
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = FamilyEncoder(encoder);
        self.0.requests(&mut out)?;
        self.0.tenants(&mut out)?;
        self.0.idempotency(&mut out)?;
        self.0.credentials(&mut out)?;
        self.0.connections(&mut out)?;
        self.0.process(&mut out)
    }
}

impl MetricSources {
    fn requests(&self, out: &mut FamilyEncoder<'_>) -> fmt::Result {
        let metrics = &self.sinks.metrics;
        out.histograms(&table::SERVER, metrics.server.series())?;
        let (address, port) = &self.upstream;
        let to_upstream = metrics.client.series().map(|(mut labels, histogram)| {
            labels.extend([("server_address", address.into()), ("server_port", port.to_string().into())]);
            (labels, histogram)
        });
        out.histograms(&table::CLIENT, to_upstream)?;
        out.counter(&table::FOREIGN, metrics.foreign_listings.count())?;
        out.gauge(&table::IN_FLIGHT, &metrics.in_flight.count())
    }

    /// Writes the series of tenants. With thousands of tenants, most counts are zero and are left out. Counts that alerts use are
    /// always written, because Prometheus sees no increase in the first value of a series.
    fn tenants(&self, out: &mut FamilyEncoder<'_>) -> fmt::Result {
        let tenants = self.state.meters();
        let each = || tenants.iter().map(|(tenant, meters)| (tenant.as_str(), &**meters));
        out.tenant_counters(&table::REQUESTS, ["tenant", "status"], each(), |meters| {
            meters.requests().filter(|(_, count)| *count > 0).map(|(class, count)| ([class], count)).collect()
        })?;
        out.tenant_counters(&table::STARTED, ["tenant", "operation"], each(), |meters| {
            meters.executions().filter(|(_, count)| *count > 0).map(|(operation, count)| ([operation], count)).collect()
        })?;
        out.counters(&table::UNKNOWN, each().map(|(tenant, meters)| ([("tenant", tenant)], meters.unknown_starts())))?;
        out.tenant_counters(&table::DECISIONS, ["tenant", "limit", "decision"], each(), |meters| {
            meters
                .decisions()
                .filter(|(.., count)| *count > 0)
                .map(|(limit, decision, count)| ([limit, decision], count))
                .collect()
        })?;
        out.tenant_counters(&table::KEYED, ["tenant", "result"], each(), |meters| {
            let results = meters
                .idempotency_results()
                .filter(|(result, count)| *count > 0 || *result == IdempotencyResult::Full.code());
            results.map(|(result, count)| ([result], count)).collect()
        })
    }

    fn idempotency(&self, out: &mut FamilyEncoder<'_>) -> fmt::Result {
        let usage = self.state.claims.usage();
        out.gauge(&table::KEY_RECORDS, &usage.records)?;
        out.gauge(&table::KEY_MEMORY, &usage.memory)?;
        out.gauge(&table::KEY_BOUND, &usage.bound)?;
        out.counter(&table::FORGOTTEN, usage.forgotten_early)?;
        let checks = self.state.listing_checks();
        let each = || checks.iter().map(|(credential, state)| ([("credential", credential.as_str())], *state));
        let is_proven = |state| u32::from(matches!(state, ListingCheckState::Proven { .. }));
        out.gauges(&table::RECOVERY_PROVEN, each().map(|(labels, state)| (labels, is_proven(state))))?;
        let lags = each().filter_map(|(labels, state)| match state {
            ListingCheckState::Proven { lag, .. } => Some((labels, lag.as_secs_f64())),
            _ => None,
        });
        out.gauges(&table::LISTING_LAG, lags)
    }

    fn credentials(&self, out: &mut FamilyEncoder<'_>) -> fmt::Result {
        let (credentials, now) = (self.credentials.by_name(), Instant::now());
        let reports: Vec<_> =
            credentials.iter().map(|(name, credential)| (name.as_str(), credential.status(now))).collect();
        let ages = reports
            .iter()
            .filter_map(|(name, report)| Some(([("credential", *name)], report.current?.age.as_secs_f64())));
        out.gauges(&table::AGE, ages)?;
        let states = reports.iter().flat_map(|(name, report)| {
            let is = |state: CredentialStatus| u32::from(state == report.status);
            CredentialStatus::ALL.map(|state| ([("credential", *name), ("state", state.code())], is(state)))
        });
        out.gauges(&table::CREDENTIAL_STATE, states)?;
        let named: Vec<_> = reports
            .iter()
            .map(|(name, report)| {
                let fingerprint = report.current.map(|current| current.fingerprint.to_string()).unwrap_or_default();
                (*name, fingerprint, report.problem().map_or("", CredentialProblem::code))
            })
            .collect();
        let infos = named.iter().map(|(name, fingerprint, error)| {
            ([("credential", *name), ("fingerprint", fingerprint.as_str()), ("error", *error)], 1_u32)
        });
        out.gauges(&table::CREDENTIAL_INFO, infos)?;
        let of_each = |count: fn(&Credential) -> &Counter| {
            let credentials = credentials.iter();
            credentials.map(move |(name, credential)| ([("credential", name.as_str())], count(credential).count()))
        };
        out.counters(&table::AUTH_FAILURES, of_each(|credential| &credential.refusals))?;
        out.counters(&table::ECHOES, of_each(|credential| &credential.redactions.redacted))?;
        out.counters(&table::CODED, of_each(|credential| &credential.redactions.content_coded))
    }

    fn connections(&self, out: &mut FamilyEncoder<'_>) -> fmt::Result {
        let metrics = &self.sinks.metrics;
        let pooled = metrics.pool_counts();
        out.gauge(&table::IDLE, &pooled.idle)?;
        out.gauge(&table::SHARED, &pooled.shared)?;
        out.gauge(&table::STREAMS, &pooled.streams)?;
        let listeners = metrics.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let open = listeners.iter().map(|(address, open)| ([("listener", address.as_str())], open.count()));
        out.gauges(&table::CONNECTIONS, open)?;
        out.gauge(&table::CAPACITY, &self.capacity)?;
        out.counter(&table::DELAYED, metrics.delayed.count())?;
        let closed = CloseReason::ALL.iter().zip(&metrics.closed);
        out.counters(&table::CLOSED, closed.map(|(reason, count)| ([("reason", reason.code())], count.count())))?;
        let memory = &self.state.body_memory;
        out.gauge(&table::BODY_MEMORY, &memory.held())?;
        out.gauge(&table::BODY_MEMORY_LIMIT, &memory.max())?;
        out.counter(&table::BODY_MEMORY_REFUSED, memory.refused())
    }

    fn process(&self, out: &mut FamilyEncoder<'_>) -> fmt::Result {
        let reloads = &self.sinks.metrics.reloads;
        let results = reloads.results();
        out.counters(&table::RELOADS, results.into_iter().map(|(result, count)| ([("result", result)], count)))?;
        out.gauge(&table::RELOADED, &u32::from(!reloads.is_failing()))?;
        out.gauge(&table::RELOADED_AT, &reloads.seconds())?;
        out.counter(&table::LOST_LINES, self.sinks.log.as_ref().map_or(0, |log| log.lost_lines()))?;
        out.counter(&table::AUDIT_REFUSED, self.sinks.audit.as_ref().map_or(0, |audit| audit.refused()))?;
        out.gauge(&table::AUDIT_WAITING, &self.sinks.audit.as_ref().map_or(0, |audit| audit.taken()))?;
        out.gauge(&table::AUDIT_LIMIT, &audit::SLOTS)?;
        out.counter(&table::SPANS_DROPPED, self.sinks.tracer.as_ref().map_or(0, |tracer| tracer.dropped()))?;
        out.gauges(&table::BUILD, [([("version", env!("CARGO_PKG_VERSION"))], 1_u32)])
    }
}

/// An encoder of metric families.
struct FamilyEncoder<'a>(DescriptorEncoder<'a>);

impl FamilyEncoder<'_> {
    fn family<'s>(&'s mut self, row: &'s Name) -> Result<MetricEncoder<'s>, fmt::Error> {
        let (name, kind) = match row.kind {
            Kind::Counter => (row.name.strip_suffix("_total").unwrap_or(row.name), MetricType::Counter),
            Kind::Gauge => (row.name, MetricType::Gauge),
            Kind::Histogram => (row.name, MetricType::Histogram),
        };
        self.0.encode_descriptor(name, row.help, None, kind)
    }

    fn counter(&mut self, row: &Name, count: u64) -> fmt::Result {
        self.family(row)?.encode_counter::<NoLabelSet, _, u64>(&count, None)
    }

    fn gauge(&mut self, row: &Name, value: &impl EncodeGaugeValue) -> fmt::Result {
        self.family(row)?.encode_gauge(value)
    }

    fn counters<'l, const N: usize>(
        &mut self,
        row: &Name,
        series: impl IntoIterator<Item = ([(&'static str, &'l str); N], u64)>,
    ) -> fmt::Result {
        let mut family = self.family(row)?;
        series.into_iter().try_for_each(|(labels, count)| {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)
        })
    }

    fn gauges<'l, const N: usize>(
        &mut self,
        row: &Name,
        series: impl IntoIterator<Item = ([(&'static str, &'l str); N], impl EncodeGaugeValue)>,
    ) -> fmt::Result {
        let mut family = self.family(row)?;
        series.into_iter().try_for_each(|(labels, value)| family.encode_family(&labels)?.encode_gauge(&value))
    }

    /// Writes counters of tenants. The first label is the tenant's name.
    fn tenant_counters<'l, const N: usize, const M: usize>(
        &mut self,
        row: &Name,
        names: [&'static str; N],
        tenants: impl Iterator<Item = (&'l str, &'l Meters)>,
        counts: impl Fn(&Meters) -> Vec<([&'static str; M], u64)>,
    ) -> fmt::Result {
        let mut family = self.family(row)?;
        for (tenant, meters) in tenants {
            for (values, count) in counts(meters) {
                let values = std::iter::once(tenant).chain(values);
                let labels: Vec<(&str, &str)> = names.into_iter().zip(values).collect();
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }

    fn histograms<'l>(
        &mut self,
        row: &Name,
        series: impl Iterator<Item = (Vec<Label<'l>>, &'l Histogram)>,
    ) -> fmt::Result {
        let mut family = self.family(row)?;
        for (labels, histogram) in series {
            let observed = histogram.observed();
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                observed.seconds,
                observed.count,
                &observed.buckets,
                None,
            )?;
        }
        Ok(())
    }
}
