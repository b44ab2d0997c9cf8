//! Sends a request, and sends it a second time if the upstream refused its credential and another version is available, or if it is
//! a read whose connection broke.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::{Request, Response};

use crate::asteroid::answer::refuses_key;
use crate::asteroid::operation::{AnswerRule, Effect, Rules};
use crate::facts::LookupOutcome;
use crate::metrics::client::UpstreamTimer;
use crate::proxy::error::{Error, judgement};
use crate::record::AuditReservation;
use crate::secret::Fingerprint;
use crate::state::Permit;
use crate::tasks::Tasks;
use crate::trace::Trace;
use crate::transport;
use crate::transport::error::SendError;
use crate::transport::lease::Lease;
use crate::transport::response::ResponseBody;
use crate::transport::timer::{GracePeriod, ResponseTimer};
use crate::upstream::Upstream;

use super::answer::{AnswerBody, Beginning};
use super::credential::ChosenVersion;
use super::judgement::{self as judge_stage, Judge};
use super::late_answer;
use super::outgoing::Outgoing;
use super::resend_check::ResendCheck;
use super::upload::{Upload, UploadEnd};

/// Ends an upload, at the latest when it is dropped.
struct EndOfUpload<'a> {
    upload: &'a Upload,
    tasks: &'a Tasks,
}

impl EndOfUpload<'_> {
    fn end(&self) -> UploadEnd {
        self.upload.end(self.tasks)
    }
}

impl Drop for EndOfUpload<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// A request to send, with the proofs that it may be sent.
pub(super) struct Attempt {
    pub(super) upstream: Arc<Upstream>,
    /// Discards the rest of an upload.
    pub(super) tasks: Tasks,
    pub(super) outgoing: Outgoing,
    pub(super) timeout: Duration,
    pub(super) credential: ChosenVersion,
    pub(super) permit: Permit,
    pub(super) trace: Trace,
    /// How much of the answer is read before it is passed on.
    pub(super) beginning: Beginning,
    /// Judges the answer, if that has executions.
    pub(super) judge: Option<Box<Judge>>,
    /// The look-up of a start before it is sent a second time.
    pub(super) resend_check: Option<Box<ResendCheck>>,
    pub(super) progress: Arc<Progress>,
    pub(super) _audited: AuditReservation,
}

/// The progress of an attempt, which its exchange reads while the attempt runs.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The time after the time-out in which its answer is still read.
    pub(super) grace_period: Option<Arc<GracePeriod>>,
    /// The fingerprint of the version that was sent after the first one was refused.
    pub(super) second_version: OnceLock<Fingerprint>,
    /// The outcome of the look-up before the second send.
    pub(super) lookup: OnceLock<LookupOutcome>,
}

impl Progress {
    /// Creates the progress of a request that has not been sent yet.
    pub(super) fn new(has_grace_period: bool) -> Arc<Progress> {
        let grace_period = has_grace_period.then(|| Arc::new(GracePeriod::new(late_answer::GRACE_PERIOD)));
        Arc::new(Progress { grace_period, ..Progress::default() })
    }

    /// Resolves when the time-out passes and the answer is still awaited. The caller is told of the time-out then.
    pub(super) async fn overdue(&self) {
        match &self.grace_period {
            Some(grace_period) => grace_period.begun().await,
            None => std::future::pending().await,
        }
    }

    /// Returns whether the caller was told of the time-out. If so, nothing more is sent.
    fn is_overdue(&self) -> bool {
        self.grace_period.as_ref().is_some_and(|grace_period| grace_period.has_begun())
    }
}

/// The head of the upstream's answer, and the means to read its body.
struct UpstreamResponse {
    response: Response<ResponseBody>,
    upstream_timer: UpstreamTimer,
    lease: Lease,
    timer: ResponseTimer,
}

impl Attempt {
    /// Sends a read or a change and returns its answer, as [`Attempt::send`] does. Returns also whether a part of its upload was not
    /// read, so that its caller's connection must end.
    pub(super) async fn send_call(self) -> (Result<Response<AnswerBody>, Error>, bool) {
        let Some(upload) = self.outgoing.upload().map(Arc::clone) else { return (self.send().await, false) };
        let tasks = self.tasks.clone();
        // Ends the upload, too, if this future is dropped.
        let ending = EndOfUpload { upload: &upload, tasks: &tasks };
        let answered = self.send().await;
        match (answered, ending.end()) {
            // Its connection broke because of that.
            (Err(_), UploadEnd::BrokeOff(fault)) => (Err(fault), true),
            (answered, UploadEnd::Complete) => (answered, false),
            (answered, UploadEnd::Unread | UploadEnd::BrokeOff(_)) => (answered, true),
        }
    }

    /// Sends the request and returns its answer, in which a credential that came back is redacted.
    ///
    /// A request whose credential was refused did no work (`asteroid::answer`). So it is sent a second time if another version
    /// is available. If the start can be looked up, it is looked up before that. A read is sent a second time if its connection
    /// broke before the head of an answer.
    pub(super) async fn send(mut self) -> Result<Response<AnswerBody>, Error> {
        let mut answered = self.send_traced().await;
        if let Err(Error::UpstreamBroke(_, Effect::Read)) = answered {
            answered = self.send_traced().await;
        }
        // Boxed, as few requests need it and its future would make every request larger.
        if let Err(Error::KeyRefused) = answered
            && !self.progress.is_overdue()
            && self.outgoing.can_be_sent_again()
            && Box::pin(self.credential.replace_refused()).await
        {
            if let Some(check) = &self.resend_check
                && let Some(answer) =
                    Box::pin(check.find_answer(&self.upstream, &self.permit, &self.trace, &self.progress.lookup))
                        .await?
            {
                return Ok(answer);
            }
            // Not set before, as there is no third send.
            self.progress.second_version.set(self.credential.fingerprint()).ok();
            answered = self.send_traced().await;
        }
        if let Err(Error::KeyRefused) = answered {
            if self.outgoing.can_be_sent_again() {
                self.credential.note_refused();
            } else {
                self.credential.note_refused_finally();
            }
        }
        let UpstreamResponse { response, upstream_timer, lease, timer } = answered?;
        // Another status may come from a proxy in front of the API, which checks no credential.
        if response.status().is_success() {
            self.credential.note_accepted();
        }
        let (mut head, body) = response.into_parts();
        let mut redactor = self.credential.redactor();
        redactor.redact_head(&mut head);
        let effect = self.rules().effect;
        let body = match (&self.judge, self.rules().answer) {
            // Boxed, as few requests need it and its future would make every request larger.
            (Some(judge), _) => {
                let means = judge_stage::Means { upstream: &self.upstream, permit: &self.permit, trace: &self.trace };
                let whole = Box::pin(judge.read(&head, body, upstream_timer, lease, &timer, means)).await;
                whole.map(|whole| AnswerBody::redacted(whole, redactor))
            }
            (None, AnswerRule::Head(_) | AnswerRule::Started | AnswerRule::Staged) => {
                let read = (self.beginning, effect);
                AnswerBody::begin(body, read, redactor, upstream_timer, lease, self.permit, &timer).await
            }
            (None, AnswerRule::Item | AnswerRule::Page | AnswerRule::Files) => Err(judgement::Error::NotJudged.into()),
        };
        self.trace.ended(body.as_ref().err().map(|error| error.code().as_str()));
        Ok(Response::from_parts(head, body?))
    }

    /// Returns the row of the operation that is asked for.
    pub(super) fn rules(&self) -> &'static Rules {
        self.outgoing.operation.rules()
    }

    /// Returns the request to send, unless a part of its stream has left.
    pub(super) fn request(&self) -> Option<Request<transport::body::Body>> {
        self.outgoing.request(&self.trace, &self.credential, &self.permit)
    }

    /// Sends the request once. Records the end of a failed try in the trace.
    async fn send_traced(&self) -> Result<UpstreamResponse, Error> {
        let answered = self.send_once().await;
        if let Err(error) = &answered {
            let fault = self.outgoing.upload().and_then(|upload| upload.fault_code());
            self.trace.ended(Some(fault.unwrap_or(error.code()).as_str()));
        }
        answered
    }

    /// Sends the request once and returns the head of its answer.
    async fn send_once(&self) -> Result<UpstreamResponse, Error> {
        let effect = self.rules().effect;
        let progress = self.outgoing.upload().map(|upload| upload.progress());
        let timer = ResponseTimer::new(self.timeout, self.progress.grace_period.clone()).with_progress(progress);
        let (response, upstream_timer, lease) =
            match self.upstream.send(&mut || self.request(), self.outgoing.operation, &timer).await {
                Ok(answered) => answered,
                Err(SendError::NotSent(reason)) => return Err(Error::Unreachable(reason)),
                Err(SendError::Broke(reason)) => return Err(Error::UpstreamBroke(reason.to_string(), effect)),
                Err(SendError::Timeout) => return Err(Error::UpstreamTimeout(self.timeout, effect)),
            };
        self.trace.answered(response.status(), response.version());
        if response.status().is_informational() {
            let cause = format!("it answered {}, which was not asked for", response.status());
            return Err(Error::UpstreamBroke(cause, effect));
        }
        if refuses_key(response.status()) {
            return Err(Error::KeyRefused);
        }
        Ok(UpstreamResponse { response, upstream_timer, lease, timer: timer.for_rest() })
    }
}
