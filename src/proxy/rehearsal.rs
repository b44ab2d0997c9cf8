//! A request that goes through every stage but the last: what would be sent for it, for people to look at.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;

use crate::caller::Peer;
use crate::facts::request_id::RequestId;
use crate::proxy::error::Error;
use crate::record::Record;
use crate::trace::Trace;
use crate::transport::body::Body;

use super::generation::Served;
use super::{Prepared, Proxy};

/// What became of a request that was not sent.
#[derive(Debug)]
pub struct Rehearsal {
    /// What the stages noted.
    pub record: Box<Record>,
    /// The request that would be sent; none where an earlier one's answer would be given again.
    pub request: Result<Option<Request<Body>>, Error>,
}

impl Proxy {
    /// Prepares a request of this machine, and drops what would be sent with it: permit, claim and reservation go back.
    pub async fn rehearse(&self, served: &Served, request: Request<Full<Bytes>>) -> Rehearsal {
        let (mut head, mut body) = request.into_parts();
        let peer = Peer::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let mut record = Record::new(Arc::clone(&self.sinks), peer, RequestId::of(&head.headers));
        record.join(Trace::of(self.sinks.tracer.as_ref(), served.listener.scheme, &head));
        let prepared = self.prepare(served, &mut head, &mut body, &mut record).await;
        let request = prepared.map(|prepared| match prepared {
            Prepared::Send(exchange) => Some(exchange.attempt.request()),
            Prepared::Replay(..) => None,
        });
        Rehearsal { record, request }
    }
}
