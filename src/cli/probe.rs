//! `probe`: checks whether a URL answers with a 2xx.
//!
//! It supports only cleartext, because it is for the admin listener, which has no TLS.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use bytes::Bytes;
use clap::Args;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::config::resolve;

use super::{build_runtime, print_line};

/// The deadline for the whole probe.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The options of `probe`.
#[derive(Debug, Args)]
pub(super) struct Probe {
    /// The URL to request, such as http://127.0.0.1:9090/readyz
    #[arg(long, value_name = "URL")]
    url: String,
}

impl Probe {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let target = Target::parse(&self.url).context("--url")?;
        let url = &target.url;
        let runtime = build_runtime()?;
        let answered = runtime.block_on(async { tokio::time::timeout(TIMEOUT, target.ask()).await });
        // A host name that is still being resolved must not delay the exit.
        runtime.shutdown_background();
        let answered = answered.unwrap_or_else(|_| bail!("no answer within {}", humantime::format_duration(TIMEOUT)));
        let status = answered.with_context(|| url.to_string())?;
        ensure!(status.is_success(), "{url}: answered with {status}");
        print_line(format_args!("{url}: {status}"));
        Ok(ExitCode::SUCCESS)
    }
}

/// A URL that can be probed. Errors do not repeat the URL, since it may contain a password or an API key.
struct Target {
    url: Uri,
    host: String,
    port: u16,
    authority: HeaderValue,
}

impl Target {
    fn parse(text: &str) -> anyhow::Result<Target> {
        const SHAPE: &str =
            "write http:// and a host, such as http://127.0.0.1:9090/readyz; other URLs are not supported";
        let url: Uri = text.parse().map_err(|_| anyhow!("this is not a URL; {SHAPE}"))?;
        ensure!(url.scheme_str() == Some("http"), "{SHAPE}");
        let authority = url.authority().context(SHAPE)?;
        ensure!(!authority.as_str().contains('@'), "it names a user, which probe does not send; leave it out");
        let port = resolve::port(authority).map_err(|message| anyhow!("it {message}"))?.unwrap_or(80);
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let authority = HeaderValue::from_str(authority.as_str())?;
        Ok(Target { url, host, port, authority })
    }

    async fn ask(&self) -> anyhow::Result<StatusCode> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.context("cannot connect")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() =
            self.url.path_and_query().context("it has no path; add one such as /readyz")?.clone().into();
        request.headers_mut().insert(HOST, self.authority.clone());
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("asteroid-gateway-probe"));
        let answer = sender.send_request(request);
        tokio::pin!(answer);
        let answer = tokio::select! {
            answer = &mut answer => answer,
            // The connection may end together with the answer.
            _ = connection => answer.await,
        };
        Ok(answer.context("no answer")?.status())
    }
}
