//! Sending a start: once, and once more where its key was refused and another is there.

use std::sync::Arc;
use std::time::Duration;

use hyper::{Request, Response};
use tokio::time::Instant;

use crate::asteroid::answer as asteroid_answer;
use crate::error::Error;
use crate::key::{Held, Key};
use crate::telemetry::audit::Entered;
use crate::telemetry::metrics::client::{Sent, Target};
use crate::telemetry::record::Record;
use crate::telemetry::trace::Trace;
use crate::upstream::response::ResponseBody;
use crate::upstream::{self, Failure, Lease, Upstream};

use super::answer::Body;
use super::credential;
use super::limit::Permit;

/// How a request goes out, and the proofs that it may.
pub(super) struct Sending {
    pub(super) upstream: Arc<Upstream>,
    pub(super) target: Target,
    pub(super) patience: Duration,
    pub(super) credential: Arc<Key>,
    /// The key that was injected.
    pub(super) key: Arc<Held>,
    pub(super) permit: Permit,
    pub(super) _entered: Entered,
}

/// The head of the upstream's answer, and what its body is read with.
struct Answered {
    response: Response<ResponseBody>,
    sent: Sent,
    lease: Lease,
    deadline: Instant,
}

impl Sending {
    /// Sends a request, and once more where the upstream refused its key and another is there by then: a refused key did no
    /// work (`asteroid::answer`).
    pub(super) async fn send(
        mut self,
        request: Request<upstream::body::Body>,
        record: &mut Record,
    ) -> Result<Response<Body>, Error> {
        let mut again = request.clone();
        let mut answered = self.exchange(request, &record.trace).await;
        let mut other = None;
        if let Err(Error::KeyRefused) = answered {
            // Boxed, as few requests need it and all would carry its future around.
            other = Box::pin(credential::replace(&self.credential, &self.key, &mut again)).await;
        }
        let is_other = other.is_some();
        if let Some(other) = other {
            record.audit.fingerprint = Some(other.fingerprint);
            self.key = other;
            record.trace.pass_on_again(&mut again);
            answered = self.exchange(again, &record.trace).await;
        }
        if let Err(Error::KeyRefused) = answered {
            self.credential.refused(is_other);
        }
        let Answered { response, sent, lease, deadline } = answered?;
        // Others may come from something in front of the API that looks at no key.
        if response.status().is_success() {
            self.credential.accepted(&self.key, is_other);
        }
        let (mut head, body) = response.into_parts();
        let mut echo = credential::echo(&self.credential, &self.key);
        echo.clean(&mut head);
        let body = Body::begin(body, echo, sent, lease, self.permit, deadline, self.patience).await;
        record.trace.ended(body.as_ref().err().map(Error::slug));
        Ok(Response::from_parts(head, body?))
    }

    async fn exchange(&self, request: Request<upstream::body::Body>, trace: &Trace) -> Result<Answered, Error> {
        let answered = self.ask(request, trace).await;
        if let Err(error) = &answered {
            trace.ended(Some(error.slug()));
        }
        answered
    }

    async fn ask(&self, request: Request<upstream::body::Body>, trace: &Trace) -> Result<Answered, Error> {
        let (response, sent, lease, deadline) = match self.upstream.send(request, self.target, self.patience).await {
            Ok(answered) => answered,
            Err(Failure::NotSent(reason)) => return Err(Error::Unreachable(reason)),
            Err(Failure::Broke(reason)) => return Err(Error::UpstreamBroke(reason.to_string())),
            Err(Failure::Timeout) => return Err(Error::UpstreamTimeout(self.patience)),
        };
        trace.answered(response.status(), response.version());
        if response.status().is_informational() {
            return Err(Error::UpstreamBroke(format!("it switched protocols unasked: {}", response.status())));
        }
        if asteroid_answer::refuses_key(response.status()) {
            return Err(Error::KeyRefused);
        }
        Ok(Answered { response, sent, lease, deadline })
    }
}
