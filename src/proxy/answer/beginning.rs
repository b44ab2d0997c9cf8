//! The beginning of an answer: the part that is read before the answer is passed on.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;

use crate::asteroid::operation::{self, AnswerRule, Effect};
use crate::proxy::charged_body::ChargedBody;
use crate::proxy::error::Error;
use crate::proxy::generation::Generation;
use crate::state::Hold;
use crate::tenant::Tenant;
use crate::transport::cause::Cause;
use crate::transport::response::ResponseBody;

/// How much of an answer is read before it is passed on.
#[derive(Debug)]
pub(in crate::proxy) enum Beginning {
    /// As many bytes, or a little more.
    Bytes(usize),
    /// As many bytes, or a little more, as long as there is memory for them.
    Charged(usize, Hold),
}

impl Beginning {
    /// Returns how much is read by the rule of an operation.
    pub(in crate::proxy) fn of(rule: AnswerRule, tenant: &Tenant, generation: &Generation) -> Beginning {
        let hold = || tenant.state.body_memory.hold(0, tenant.is_only).ok();
        match rule {
            AnswerRule::Head(length) => Beginning::Bytes(length),
            // An answer that may have a result, or many files.
            AnswerRule::Started | AnswerRule::Staged => hold()
                .map_or(Beginning::Bytes(operation::SHORT_ANSWER), |hold| {
                    Beginning::Charged(generation.answer_limit, hold)
                }),
            // Judged as a whole.
            AnswerRule::Item | AnswerRule::Page | AnswerRule::Files => Beginning::Bytes(0),
        }
    }

    /// Reads the beginning of an answer. Returns it, and whether it is the whole answer.
    pub(super) async fn read(self, incoming: &mut ResponseBody, effect: Effect) -> Result<(Bytes, bool), Error> {
        let broke = |cause: Cause| Error::UpstreamBroke(cause.to_string(), effect);
        match self {
            Beginning::Bytes(length) => read_bytes(incoming, length).await.map_err(broke),
            Beginning::Charged(length, hold) => {
                let (body, ended) = ChargedBody::read_beginning(incoming, length, operation::SHORT_ANSWER, hold)
                    .await
                    .map_err(broke)?;
                Ok((body.into(), ended))
            }
        }
    }
}

async fn read_bytes(incoming: &mut ResponseBody, length: usize) -> Result<(Bytes, bool), Cause> {
    let mut whole = BytesMut::new();
    while !incoming.is_end_stream() && whole.len() < length {
        let Some(frame) = incoming.frame().await else { return Ok((whole.freeze(), true)) };
        let Ok(data) = frame?.into_data() else { continue };
        if whole.is_empty() && incoming.is_end_stream() {
            return Ok((data, true));
        }
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), incoming.is_end_stream()))
}
