//! `probe`: whether a URL answers with a 2xx.
//!
//! Cleartext alone: what is probed is the admin listener, which speaks nothing else.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::Args;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{runtime, say};

/// How long everything may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The options of `probe`.
#[derive(Debug, Args)]
pub(super) struct Probe {
    /// What to ask, such as http://127.0.0.1:9090/readyz
    #[arg(long, value_name = "URL")]
    url: Uri,
}

impl Probe {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let url = &self.url;
        ensure!(url.scheme_str() == Some("http"), "--url {url}: write http:// and a host; nothing else is probed");
        let runtime = runtime()?;
        let answered = runtime.block_on(async { tokio::time::timeout(PATIENCE, ask(url)).await });
        // A name that is still being resolved must not hold up the exit.
        runtime.shutdown_background();
        let answered = answered.unwrap_or_else(|_| bail!("no answer within {}", humantime::format_duration(PATIENCE)));
        let status = answered.with_context(|| url.to_string())?;
        ensure!(status.is_success(), "{url}: answered with {status}");
        say(format_args!("{url}: {status}"));
        Ok(ExitCode::SUCCESS)
    }
}

async fn ask(url: &Uri) -> anyhow::Result<StatusCode> {
    let authority = url.authority().context("there is no host in it")?;
    ensure!(!authority.as_str().contains('@'), "there is a user in it, whom nothing is asked about");
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, url.port_u16().unwrap_or(80))).await.context("no connection")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = url.path_and_query().context("there is no path in it")?.clone().into();
    request.headers_mut().insert(HOST, HeaderValue::from_str(authority.as_str())?);
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("asteroid-gateway-probe"));
    let answer = sender.send_request(request);
    tokio::pin!(answer);
    let answer = tokio::select! {
        answer = &mut answer => answer,
        // It may have ended with the answer.
        _ = connection => answer.await,
    };
    Ok(answer.context("no answer")?.status())
}
