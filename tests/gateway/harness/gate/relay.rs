//! Relays one connection of the gateway to the upstream: HTTP/1.1, with whole messages that have a Content-Length.
//!
//! An exchange is held by its thread, which ends with the gate; other threads end with their connection.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write, copy, sink};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use super::super::caller::{TIMEOUT, connect};
use super::super::raw::reset;
use super::{HoldPoint, Shared, Substitute, Verdict};

/// The reason why a connection is no longer relayed.
enum RelayEnd {
    Verdict(Verdict),
    Broke,
}

impl From<Error> for RelayEnd {
    fn from(_: Error) -> RelayEnd {
        RelayEnd::Broke
    }
}

/// Returns a task that relays messages until either side, or a verdict, ends the connection.
pub(super) fn task(shared: &Arc<Shared>, gateway: TcpStream, last: bool) -> impl FnOnce() + Send + use<> {
    let shared = Arc::clone(shared);
    move || {
        if let Err(RelayEnd::Verdict(verdict)) = relay(&shared, &gateway, last) {
            // The gateway may have closed it meanwhile.
            drop(end(&shared, gateway, verdict));
        }
    }
}

fn relay(shared: &Shared, gateway: &TcpStream, last: bool) -> Result<(), RelayEnd> {
    gateway.set_read_timeout(Some(TIMEOUT))?;
    gateway.set_nodelay(true)?;
    let mut gateway = BufReader::new(gateway);
    let mut upstream = BufReader::new(connect(shared.upstream));
    upstream.get_ref().set_nodelay(true)?;
    while let Some(head) = head(&mut gateway)? {
        if head.contains("/executions?pageSize=1 ") && shared.lock().refuses_newest {
            gateway.get_mut().write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        }
        let held = shared.begin(&head);
        shared.pause(held, HoldPoint::LookUp)?;
        shared.answer_in_the_interim(held, HoldPoint::Head, gateway.get_mut())?;
        shared.pause(held, HoldPoint::Head)?;
        let body = body(&mut gateway, &head)?;
        let (first, second) = parts(&body, held == Some(HoldPoint::MidBody));
        upstream.get_mut().write_all(&[head.as_bytes(), first].concat())?;
        shared.pause(held, HoldPoint::MidBody)?;
        upstream.get_mut().write_all(second)?;
        let answer = answer(&mut upstream, last)?;
        shared.answer_in_the_interim(held, HoldPoint::Body, gateway.get_mut())?;
        shared.pause(held, HoldPoint::Body)?;
        let (first, second) = parts(&answer, matches!(held, Some(HoldPoint::MidAnswer | HoldPoint::LookUpMidAnswer)));
        gateway.get_mut().write_all(first)?;
        shared.pause(held, HoldPoint::MidAnswer)?;
        shared.pause(held, HoldPoint::LookUpMidAnswer)?;
        gateway.get_mut().write_all(second)?;
        shared.pause(held, HoldPoint::Answer)?;
        if last {
            return Err(RelayEnd::Verdict(Verdict::Close));
        }
    }
    Ok(())
}

impl Shared {
    /// Returns the point at which the exchange with this head is held, if it is the one to hold.
    fn begin(&self, head: &str) -> Option<HoldPoint> {
        let mut state = self.lock();
        let is_the_one = match state.point? {
            HoldPoint::Refused { .. } | HoldPoint::Connecting { .. } => false,
            HoldPoint::LookUp | HoldPoint::LookUpMidAnswer => head.starts_with("GET ") && head.contains("/executions?"),
            HoldPoint::Head | HoldPoint::MidBody | HoldPoint::Body | HoldPoint::MidAnswer | HoldPoint::Answer => {
                head.starts_with("POST ")
            }
        };
        let begins = is_the_one && !state.begun;
        state.begun |= is_the_one;
        state.point.filter(|_| begins)
    }

    /// Writes an interim answer, if one is set and the exchange is held here.
    fn answer_in_the_interim(
        &self,
        held: Option<HoldPoint>,
        here: HoldPoint,
        mut gateway: &TcpStream,
    ) -> std::io::Result<()> {
        match self.lock().interim.filter(|_| held == Some(here)) {
            Some(status) => gateway.write_all(format!("HTTP/1.1 {status} Interim\r\n\r\n").as_bytes()),
            None => Ok(()),
        }
    }

    /// Waits for the verdict, if the exchange is held here.
    fn pause(&self, held: Option<HoldPoint>, here: HoldPoint) -> Result<(), RelayEnd> {
        if held != Some(here) {
            return Ok(());
        }
        self.tell(|state| state.held = true);
        match self.verdict() {
            Some(Verdict::Proceed) => Ok(()),
            verdict => Err(RelayEnd::Verdict(verdict.unwrap_or(Verdict::Close))),
        }
    }
}

fn end(shared: &Shared, mut gateway: TcpStream, verdict: Verdict) -> std::io::Result<()> {
    match verdict {
        Verdict::Reset => {
            reset(&gateway)?;
            drop(gateway);
            shared.tell(|state| state.closed = true);
            return Ok(());
        }
        Verdict::Answer(Substitute { status, fields, body, has_length }) => {
            let length = if has_length { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
            let whole = format!("HTTP/1.1 {status} Said\r\n{fields}{length}Connection: close\r\n\r\n{body}");
            gateway.write_all(whole.as_bytes())?;
        }
        Verdict::Close | Verdict::Proceed => {}
    }
    // Closing a socket with unread bytes resets its connection, so the rest is read first.
    let closed = gateway.shutdown(Shutdown::Write);
    shared.tell(|state| state.closed = true);
    closed?;
    copy(&mut gateway, &mut sink()).map(drop)
}

/// Reads a head with the empty line at its end; returns `None` if the connection ends first.
fn head(from: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head)? == 0 {
            return if head.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
    }
    Ok(Some(head))
}

/// Reads the body that follows a head.
fn body(from: &mut impl Read, head: &str) -> std::io::Result<Vec<u8>> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    from.read_exact(&mut body).map(|()| body)
}

/// Reads a whole answer. If it is the last, adds `Connection: close`.
fn answer(upstream: &mut BufReader<TcpStream>, last: bool) -> Result<Vec<u8>, RelayEnd> {
    let Some(mut head) = head(upstream)? else { return Err(RelayEnd::Verdict(Verdict::Close)) };
    let body = body(upstream, &head)?;
    if last {
        head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    }
    Ok([head.as_bytes(), &body].concat())
}

/// Returns both halves of a message, or the whole of it and nothing.
fn parts(message: &[u8], in_halves: bool) -> (&[u8], &[u8]) {
    message.split_at(if in_halves { message.len() / 2 } else { message.len() })
}
