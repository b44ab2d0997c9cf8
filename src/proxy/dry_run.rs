//! A dry run: a request passes every stage but the last, and is not sent.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;

use crate::caller::{Caller, Peer};
use crate::facts::request_id::RequestId;
use crate::proxy::error::Error;
use crate::record::Record;
use crate::trace::Trace;
use crate::transport::body::Body;
use crate::transport::endpoint::Scheme;

use super::generation::ListenerGeneration;
use super::{Decision, Proxy};

/// The result of a dry run.
#[derive(Debug)]
pub struct DryRun {
    /// The record with the facts of each stage.
    pub record: Box<Record>,
    /// The request that would be sent, or none if the gateway would answer itself: with an earlier answer, or with its description.
    pub request: Result<Option<Request<Body>>, Error>,
}

impl Proxy {
    /// Prepares a request as from this machine, and returns the request that would be sent. Its permit, claim and reservation
    /// are given back.
    pub async fn dry_run(&self, generation: &ListenerGeneration, request: Request<Full<Bytes>>) -> DryRun {
        let (mut head, body) = request.into_parts();
        let peer = Peer::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let caller = Caller { peer, scheme: Scheme::Http };
        let mut record = Record::new(Arc::clone(&self.sinks), peer, RequestId::of(&head.headers));
        record.join(Trace::of(self.sinks.tracer.as_ref(), caller.scheme, &head));
        // Nothing is asked, so every execution that it names is taken for the tenant's own.
        if let Ok(tenant) = generation.listener.identify(&caller, &head.headers) {
            tenant.owned.assume_all();
        }
        let prepared = self.prepare(generation, &caller, &mut head, &mut Some(body), &mut record).await;
        let request = prepared.map(|prepared| match prepared {
            Decision::Forward(exchange) => exchange.request(),
            Decision::Replay(..) | Decision::Describe(_) => None,
        });
        DryRun { record, request }
    }
}
