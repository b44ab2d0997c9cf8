//! Sending a start: once, and once more where its key was refused and another is there.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::{Request, Response};

use crate::asteroid::answer as asteroid_answer;
use crate::credential::{Credential, SecretVersion};
use crate::metrics::client::{Target, UpstreamTimer};
use crate::proxy::error::Error;
use crate::record::Entered;
use crate::secret::Fingerprint;
use crate::trace::Trace;
use crate::transport;
use crate::transport::error::SendError;
use crate::transport::lease::Lease;
use crate::transport::response::ResponseBody;
use crate::transport::timer::{GracePeriod, ResponseTimer};
use crate::upstream::Upstream;

use super::answer::Body;
use super::inquiry::Inquiry;
use super::limit::Permit;
use super::{credential, overtime};

/// How a request goes out, and the proofs that it may.
pub(super) struct Sending {
    pub(super) upstream: Arc<Upstream>,
    pub(super) target: Target,
    pub(super) timeout: Duration,
    pub(super) credential: Arc<Credential>,
    /// The key that was injected.
    pub(super) key: Arc<SecretVersion>,
    pub(super) permit: Permit,
    pub(super) trace: Trace,
    /// How the start is looked up if its key was refused.
    pub(super) inquiry: Option<Box<Inquiry>>,
    pub(super) progress: Arc<Progress>,
    pub(super) _entered: Entered,
}

/// The progress of a request on its way, as others see it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The time after the time-out in which its answer is still read.
    pub(super) grace_period: Option<Arc<GracePeriod>>,
    /// The key that was sent after the first was refused.
    pub(super) other_key: OnceLock<Fingerprint>,
    /// The result of a look-up between the two, as the log names it.
    pub(super) looked_up: OnceLock<&'static str>,
}

impl Progress {
    /// Creates it for a request that was not sent yet.
    pub(super) fn new(has_grace_period: bool) -> Arc<Progress> {
        let grace_period = has_grace_period.then(|| Arc::new(GracePeriod::new(overtime::LENGTH)));
        Arc::new(Progress { grace_period, ..Progress::default() })
    }

    /// Resolves when the caller is to be told of the time-out, although the answer is still read.
    pub(super) async fn overdue(&self) {
        match &self.grace_period {
            Some(grace_period) => grace_period.begun().await,
            None => std::future::pending().await,
        }
    }

    /// Returns whether the caller was told of the time-out. Then nothing is sent any more.
    fn is_overdue(&self) -> bool {
        self.grace_period.as_ref().is_some_and(|grace_period| grace_period.has_begun())
    }
}

/// The head of the upstream's answer, and what its body is read with.
struct Answered {
    response: Response<ResponseBody>,
    upstream_timer: UpstreamTimer,
    lease: Lease,
    timer: ResponseTimer,
}

impl Sending {
    /// Sends a request, and once more if the upstream refused its key and another is there by then: a refused key did no work
    /// (`asteroid::answer`). If the start can be looked up, that comes before.
    pub(super) async fn send(mut self, mut request: Request<transport::body::Body>) -> Result<Response<Body>, Error> {
        let mut answered = self.exchange(&request).await;
        let mut other = None;
        if let Err(Error::KeyRefused) = answered
            && !self.progress.is_overdue()
        {
            // Boxed, as few requests need it and all would carry its future around.
            other = Box::pin(credential::replace(&self.credential, &self.key, &mut request)).await;
        }
        let is_other = other.is_some();
        if let (Some(_), Some(inquiry)) = (&other, &self.inquiry)
            && let Some(answer) = Box::pin(inquiry.answer(&self)).await?
        {
            return Ok(answer);
        }
        if let Some(other) = other {
            // Set once, as there is no third.
            self.progress.other_key.set(other.fingerprint).ok();
            self.key = other;
            self.trace.pass_on_again(&mut request);
            answered = self.exchange(&request).await;
        }
        if let Err(Error::KeyRefused) = answered {
            self.credential.note_refused(is_other);
        }
        let Answered { response, upstream_timer, lease, timer } = answered?;
        // Others may come from something in front of the API that looks at no key.
        if response.status().is_success() {
            self.credential.note_accepted(&self.key, is_other);
        }
        let (mut head, body) = response.into_parts();
        let mut echo = credential::echo(&self.credential, &self.key);
        echo.clean(&mut head);
        let body = Body::begin(body, echo, upstream_timer, lease, self.permit, &timer).await;
        self.trace.ended(body.as_ref().err().map(Error::slug));
        Ok(Response::from_parts(head, body?))
    }

    async fn exchange(&self, request: &Request<transport::body::Body>) -> Result<Answered, Error> {
        let answered = self.ask(request).await;
        if let Err(error) = &answered {
            self.trace.ended(Some(error.slug()));
        }
        answered
    }

    async fn ask(&self, request: &Request<transport::body::Body>) -> Result<Answered, Error> {
        let timer = ResponseTimer::new(self.timeout, self.progress.grace_period.clone());
        let (response, upstream_timer, lease) =
            match self.upstream.send(&mut || request.clone(), self.target, &timer).await {
                Ok(answered) => answered,
                Err(SendError::NotSent(reason)) => return Err(Error::Unreachable(reason)),
                Err(SendError::Broke(reason)) => return Err(Error::UpstreamBroke(reason.to_string())),
                Err(SendError::Timeout) => return Err(Error::UpstreamTimeout(self.timeout)),
            };
        self.trace.answered(response.status(), response.version());
        if response.status().is_informational() {
            return Err(Error::UpstreamBroke(format!("it switched protocols unasked: {}", response.status())));
        }
        if asteroid_answer::refuses_key(response.status()) {
            return Err(Error::KeyRefused);
        }
        Ok(Answered { response, upstream_timer, lease, timer })
    }
}
