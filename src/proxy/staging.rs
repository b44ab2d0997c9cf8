//! Learns which files a tenant has uploaded for a start.

use std::sync::Arc;
use std::time::Instant;

use hyper::Response;

use crate::asteroid::file;
use crate::asteroid::operation::AnswerRule;
use crate::media_type::content_coding;
use crate::tenant::Tenant;

use super::admission::Admission;
use super::answer::AnswerBody;

/// An upload of a tenant's files for a start.
pub(super) struct Staging(Arc<Tenant>);

impl Staging {
    /// Returns the upload that a call makes, if it makes one.
    pub(super) fn of(Admission { tenant, call, .. }: &Admission<'_>) -> Option<Staging> {
        (call.rules().answer == AnswerRule::Staged).then(|| Staging(Arc::clone(tenant)))
    }

    /// Remembers the files that the answer names, as far as it was read before it is passed on.
    pub(super) fn learn(&self, response: &Response<AnswerBody>) {
        if response.status().is_success() && content_coding(response.headers()).is_none() {
            let (Staging(tenant), now) = (self, Instant::now());
            let ids = file::staged(response.body().buffered());
            ids.into_iter().for_each(|id| tenant.staged.insert(&tenant.tag, id, now));
        }
    }
}
