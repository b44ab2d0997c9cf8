//! `explain`: prints the decisions about a request and the exact bytes that would be sent. Reads no API key and sends nothing.

mod target;

use std::fmt;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use http_body_util::Full;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::{HeaderMap, Request};

use crate::asteroid::group::Group;
use crate::asteroid::operation::{self, BodyRule, Effect};
use crate::asteroid::start::OnConflict;
use crate::config::resolve::{Config, IdempotencyMode, Tenant};
use crate::config::{pasted, suggestion};
use crate::credential::Definition;
use crate::facts::{Facts, Route, request_id};
use crate::proxy::dry_run::DryRun;
use crate::proxy::error::Error;
use crate::transport::endpoint::Scheme;
use crate::transport::wire;
use crate::{app, asteroid};

use super::{ConfigFile, build_runtime, load, print_error, print_line};

use target::Target;

/// The placeholder for the id that each request gets.
const REQUEST_ID: HeaderValue = HeaderValue::from_static("00000000-0000-0000-0000-000000000000");

/// The options of `explain`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    config: ConfigFile,
    /// The tenant, as the listener would identify it
    #[arg(long, value_name = "TENANT")]
    tenant: String,
    #[command(flatten)]
    target: Target,
    /// The request's Idempotency-Key
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// An additional header of the request; can be repeated
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
}

impl Explain {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let Some(config) = build_runtime()?.block_on(load(&self.config)) else { return Ok(ExitCode::FAILURE) };
        let Some(tenant) = config.tenants.get(&self.tenant) else {
            let question = suggestion::question(&self.tenant, config.tenants.keys().map(String::as_str));
            bail!("--tenant {}: the configuration has no such tenant{question}", pasted::hide_api_key(&self.tenant));
        };
        let request = self.request(&config)?;
        let headers = request.headers().clone();
        let received = request.body().clone();
        build_runtime()?.block_on(async {
            let dry_run = app::dry_run(config.clone(), &self.tenant, request).await?;
            print_decisions(&self.tenant, tenant, &config, &dry_run);
            match dry_run.request {
                Ok(Some(request)) => {
                    print_line(field("headers", describe_headers(&headers, request.headers())));
                    print_request(&wire::serialize(request).await?, &received)?;
                    Ok(ExitCode::SUCCESS)
                }
                Ok(None) if dry_run.record.facts.is_self_description => {
                    Err(anyhow!("the gateway answers this request itself, so nothing would be sent"))
                }
                Ok(None) => Err(anyhow!("the answer of an earlier request would be replayed")),
                Err(error) => {
                    print_refusal(&error);
                    Ok(ExitCode::FAILURE)
                }
            }
        })
    }

    /// Returns the request that a caller would send, with the body from standard input.
    fn request(&self, config: &Config) -> anyhow::Result<Request<Full<Bytes>>> {
        let (method, target) = self.target.parse()?;
        let rule = operation::select(&method, &target).map_or(BodyRule::None, |call| call.rules().body);
        let takes_body = rule != BodyRule::None;
        let limit = match rule {
            BodyRule::Files => usize::try_from(config.upload_limit).unwrap_or(usize::MAX),
            _ => config.body_limit,
        };
        let body = if takes_body { read_body(limit)? } else { Bytes::new() };
        let mut headers = HeaderMap::new();
        for header in &self.header {
            let (name, value) = parse_header(header).with_context(|| {
                // The value can be a secret.
                let name = header.split(':').next().unwrap_or_default();
                format!("--header {:?}", pasted::hide_api_key(name))
            })?;
            headers.append(name, value);
        }
        if let Some(key) = &self.idempotency_key {
            headers.append("idempotency-key", key.parse().context("--idempotency-key")?);
        }
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        if takes_body {
            headers.entry(CONTENT_TYPE).or_insert(media_type(rule, &body));
        }
        headers.entry(request_id::NAME).or_insert(REQUEST_ID);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Returns the media type that a client sends with a body. The first line of a form begins with two hyphens and its boundary.
fn media_type(rule: BodyRule, body: &[u8]) -> HeaderValue {
    if rule != BodyRule::Files {
        return HeaderValue::from_static("application/json");
    }
    let line = body.split(|byte| *byte == b'\r').next().and_then(|line| line.strip_prefix(b"--"));
    let quoted = [b"multipart/form-data; boundary=\"", line.unwrap_or_default(), b"\""].concat();
    HeaderValue::from_bytes(&quoted).unwrap_or(HeaderValue::from_static("multipart/form-data"))
}

fn parse_header(header: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    let (name, value) = header.split_once(':').context("write it as 'Name: value'")?;
    let (name, value): (HeaderName, HeaderValue) = (name.trim().parse()?, value.trim().parse()?);
    if [HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
        bail!("this header is for the listener, which this command does not use; leave it out");
    }
    Ok((name, value))
}

/// Reads the body from standard input, and returns it: at most one byte more than the limit, which shows that it is too long.
fn read_body(limit: usize) -> anyhow::Result<Bytes> {
    if io::stdin().is_terminal() {
        print_error("the body is read from standard input; end it with Ctrl-D");
    }
    let mut body = Vec::new();
    let max = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    io::stdin().take(max).read_to_end(&mut body).context("standard input")?;
    Ok(body.into())
}

/// Returns a line of output: a name and its value.
fn field(name: &str, value: impl fmt::Display) -> String {
    format!("{name:<14}{value}")
}

/// Prints the decisions that do not depend on the body, and the results of the stages.
fn print_decisions(name: &str, tenant: &Tenant, config: &Config, dry_run: &DryRun) {
    let facts = &dry_run.record.facts;
    print_line(field("tenant", name));
    let operation = facts.route().map_or("none", Route::name);
    let execution = facts.execution_id.or(facts.rerun_of).map(|id| id.to_string());
    let ids = facts.ids.iter().flatten().map(|(_, id)| id).chain(&execution);
    let ids: Vec<&str> = ids.map(String::as_str).collect();
    let of = if ids.is_empty() { "" } else { " of " };
    print_line(field("operation", format_args!("{operation}{of}{}", ids.join(", "))));
    let groups = Group::ALL.into_iter().filter(|group| tenant.operations.contains(*group)).map(Group::code);
    print_line(field("open", groups.collect::<Vec<_>>().join(", ")));
    if let Some(id) = execution {
        print_line(field(
            "execution",
            format_args!(
                "{id}, taken for the tenant's own here; otherwise looked up at the upstream if it is not known"
            ),
        ));
    }
    if let Some(Definition { secret, header, .. }) = config.credentials.get(&tenant.credential) {
        print_line(field(
            "credential",
            format_args!("{}, from the {secret}, in {header}; not read here", tenant.credential),
        ));
    }
    print_limits(tenant);
    if facts.route().is_none_or(|route| route.effect() == Effect::Start) {
        print_start_decisions(tenant, config, dry_run);
    }
    let upstream = &config.upstream;
    let (scheme, spoken) = match upstream.endpoint.scheme {
        Scheme::Https => ("https", "HTTP/2 if it chooses that; shown as HTTP/1.1"),
        Scheme::Http => ("http", "HTTP/1.1"),
    };
    print_line(field(
        "upstream",
        format_args!("{scheme}://{}{}, {spoken}", upstream.endpoint.authority, upstream.base_path),
    ));
}

/// Prints the decisions that only a start needs: its idempotency key and its tags.
fn print_start_decisions(tenant: &Tenant, config: &Config, dry_run: &DryRun) {
    let facts = &dry_run.record.facts;
    print_line(field("idempotency", describe_idempotency(tenant, config, dry_run)));
    if is_rerun(facts) {
        return print_line(field("tags", "none are written, as a rerun gets those of the execution that it repeats"));
    }
    let conflict = match config.on_conflict {
        OnConflict::Reject => "a different value from the caller is refused",
        OnConflict::Overwrite => "a different value from the caller is overwritten",
    };
    let digest = facts.idempotency.map(|digest| (config.idempotency.tag.clone(), digest.to_string()));
    let tags = tenant.tags.iter().chain(&digest).map(|(key, value)| format!("{key}={value}"));
    print_line(field("tags", format_args!("{}; {conflict}", tags.collect::<Vec<_>>().join(", "))));
}

/// Returns whether it is a rerun, which can be neither tagged nor found by a tag.
fn is_rerun(facts: &Facts) -> bool {
    facts.operation.is_some_and(|operation| operation.rules().body == BodyRule::Rerun)
}

fn print_limits(tenant: &Tenant) {
    let limits = &tenant.limits;
    let parts = [
        limits.requests.map(|rate| format!("requests {rate}")),
        limits.reads.map(|rate| format!("reads {rate}")),
        limits.in_flight.map(|max| format!("in_flight {max}")),
        limits.executions.map(|rate| format!("executions {rate}")),
        limits.budget.map(|max| format!("budget {max} per UTC day")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let text =
        if parts.is_empty() { "none".to_owned() } else { parts.join("; ") + "; nothing is counted by this command" };
    print_line(field("limits", text));
}

fn describe_idempotency(tenant: &Tenant, config: &Config, dry_run: &DryRun) -> String {
    let mode = match tenant.idempotency {
        IdempotencyMode::Off => "off",
        IdempotencyMode::Optional => "optional",
        IdempotencyMode::Required => "required",
    };
    let Some(digest) = dry_run.record.facts.idempotency else {
        return format!("{mode}; without an idempotency key, a retry starts another execution");
    };
    let retention = humantime::format_duration(config.idempotency.bounds.retention);
    let recovery = match config.idempotency.recovery {
        true if is_rerun(&dry_run.record.facts) => "; a rerun is not looked up at the upstream, as it cannot be tagged",
        true => ", and looked up at the upstream before it is sent",
        false => "",
    };
    format!("{mode}; the idempotency key's digest is {digest}, remembered for {retention}{recovery}")
}

/// Returns which of the caller's headers are passed on and which are dropped.
fn describe_headers(received: &HeaderMap, sent: &HeaderMap) -> String {
    let (mut passed, mut dropped) = (Vec::new(), Vec::new());
    // This command adds these two.
    let own = |name: &HeaderName| *name == HOST || *name == request_id::NAME && received.get(name) == Some(&REQUEST_ID);
    for name in received.keys().filter(|name| !own(name)) {
        let is_passed = received.get_all(name).iter().eq(sent.get_all(name).iter());
        if is_passed { passed.push(name.as_str()) } else { dropped.push(name.as_str()) }
    }
    let mut text = format!("passed on: {}", passed.join(", "));
    if !dropped.is_empty() {
        text += &format!("; dropped: {}", dropped.join(", "));
    }
    if own(&request_id::NAME) {
        text += "; x-request-id: a new one for each request";
    }
    text
}

/// Prints the exact request at the end of the output. A line break follows only on a terminal.
fn print_request(sent: &wire::WireRequest, received: &Full<Bytes>) -> anyhow::Result<()> {
    let received = hyper::body::Body::size_hint(received).lower();
    let body = sent.bytes.len() - sent.head_len;
    print_line(field("body", format_args!("{received} bytes received, {body} sent")));
    let all = sent.bytes.len();
    print_line(field("request", format_args!("the last {all} bytes of this output, {body} of them the body\n")));
    let mut out = io::stdout();
    out.write_all(&sent.bytes)?;
    if out.is_terminal() {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

fn print_refusal(error: &Error) {
    let status = error.status().as_u16();
    match error {
        Error::Body(asteroid::body::Refusal { faults }) => {
            print_error(format_args!("refused with {status}; faults in the body: {}", faults.len()));
            faults.iter().for_each(|fault| print_error(format_args!("  {fault}")));
        }
        error => print_error(format_args!("refused with {status}: {error}")),
    }
    print_error("Nothing would be sent.");
}
