//! TCP to the first of several addresses that answers (RFC 8305). After a quarter of a second of silence the next address is
//! tried, too. An address that failed or was slow goes last for a while.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::error::ConnectError;

/// How long an address may be silent before the next one is tried beside it.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How long an address that failed goes last.
const FAILURE_MEMORY: Duration = Duration::from_secs(600);

/// The most addresses whose failures are remembered.
const MAX_FAILED: usize = 64;

/// A connector over TCP, which remembers the addresses that failed.
#[derive(Debug, Default)]
pub struct Dialer {
    failed: Mutex<Vec<(SocketAddr, Instant)>>,
}

/// A connection to one address that is being made.
struct PendingConnection {
    address: SocketAddr,
    stream: Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>,
}

impl PendingConnection {
    fn begin(address: SocketAddr) -> PendingConnection {
        PendingConnection { address, stream: Box::pin(TcpStream::connect(address)) }
    }
}

impl Dialer {
    /// Returns the first connection that is made before the deadline; `timeout` is the time until then, for the error.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: the failure of the last address if every one failed, or else [`ConnectError::Timeout`].
    pub async fn connect(
        &self,
        addresses: &[SocketAddr],
        deadline: Instant,
        timeout: Duration,
    ) -> Result<TcpStream, ConnectError> {
        let mut waiting = self.order(addresses).into_iter();
        let mut pending: Vec<PendingConnection> = waiting.next().map(PendingConnection::begin).into_iter().collect();
        let mut next_at = Instant::now() + ATTEMPT_DELAY;
        while !pending.is_empty() {
            let (at, result) = tokio::select! {
                ended = first_ended(&mut pending) => ended,
                () = sleep_until(next_at), if !waiting.as_slice().is_empty() => {
                    pending.extend(waiting.next().map(PendingConnection::begin));
                    next_at = Instant::now() + ATTEMPT_DELAY;
                    continue;
                }
                () = sleep_until(deadline) => break,
            };
            let address = pending.remove(at).address;
            match result {
                Ok(stream) => {
                    // The addresses before it had more time and did not answer.
                    pending.iter().take(at).for_each(|slower| self.remember(slower.address));
                    self.forget(address);
                    stream.set_nodelay(true).map_err(|error| failed(address, error))?;
                    return Ok(stream);
                }
                Err(error) => {
                    self.remember(address);
                    pending.extend(waiting.next().map(PendingConnection::begin));
                    next_at = Instant::now() + ATTEMPT_DELAY;
                    if pending.is_empty() {
                        return Err(failed(address, error));
                    }
                }
            }
        }
        pending.iter().for_each(|silent| self.remember(silent.address));
        Err(ConnectError::Timeout { after: timeout })
    }

    /// Returns the addresses in the order in which they are tried: the two families in turn, each as the system lists it, and
    /// at the end those that failed not long ago.
    fn order(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
        let (first, second): (Vec<_>, Vec<_>) = addresses.iter().partition(|address| address.is_ipv6() == first_is_v6);
        let mut ordered: Vec<(usize, SocketAddr)> = first.into_iter().enumerate().collect();
        ordered.extend(second.into_iter().enumerate());
        let now = Instant::now();
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let has_failed = |address| failed.iter().any(|(of, since)| *of == address && now - *since < FAILURE_MEMORY);
        // The sort is stable: of the same rank, the family that the system lists first goes first.
        ordered.sort_by_key(|(rank, address)| (has_failed(*address), *rank));
        ordered.into_iter().map(|(_, address)| address).collect()
    }

    fn remember(&self, address: SocketAddr) {
        self.forget(address);
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= MAX_FAILED {
            failed.remove(0);
        }
        failed.push((address, Instant::now()));
    }

    fn forget(&self, address: SocketAddr) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _)| *of != address);
    }
}

/// Returns the index of the connection that ended first, and its result.
async fn first_ended(pending: &mut [PendingConnection]) -> (usize, io::Result<TcpStream>) {
    poll_fn(|context: &mut Context<'_>| {
        for (at, connection) in pending.iter_mut().enumerate() {
            if let Poll::Ready(result) = connection.stream.as_mut().poll(context) {
                return Poll::Ready((at, result));
            }
        }
        Poll::Pending
    })
    .await
}

fn failed(address: SocketAddr, source: io::Error) -> ConnectError {
    if source.kind() == io::ErrorKind::ConnectionRefused {
        ConnectError::Refused { address }
    } else {
        ConnectError::Failed { address, source }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn addresses<const N: usize>(texts: [&str; N]) -> [SocketAddr; N] {
        texts.map(|text| text.parse().unwrap())
    }

    /// Returns a socket to which no connection is made, since its queue is full, and what keeps the queue full.
    async fn silent() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            held.push(stream);
        }
        (address, listener, held)
    }

    async fn refused() -> (SocketAddr, TcpSocket) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        (socket.local_addr().unwrap(), socket)
    }

    async fn connect(dialer: &Dialer, addresses: &[SocketAddr]) -> Result<SocketAddr, ConnectError> {
        let stream = dialer.connect(addresses, Instant::now() + TIMEOUT, TIMEOUT).await?;
        Ok(stream.peer_addr().unwrap())
    }

    #[test]
    fn families_take_turns_and_what_failed_goes_last_until_it_is_forgotten() {
        let dialer = Dialer::default();
        let [a6, b6, c6, a4, b4] =
            addresses(["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1", "192.0.2.1:1", "192.0.2.2:1"]);
        let listed = [a6, b6, c6, a4, b4];
        assert_eq!(dialer.order(&listed), [a6, a4, b6, b4, c6]);
        dialer.remember(a6);
        dialer.remember(b6);
        assert_eq!(dialer.order(&listed), [a4, b4, c6, a6, b6]);
        dialer.forget(a6);
        assert_eq!(dialer.order(&listed), [a6, a4, b4, c6, b6]);
        assert_eq!(dialer.order(&[]), []);
    }

    #[tokio::test(start_paused = true)]
    async fn silent_and_refusing_addresses_cost_a_moment_once_and_none_keeps_the_connection_from_being_made() {
        let (first, _listener, _held) = silent().await;
        let (second, _other, _more) = silent().await;
        let (third, _socket) = refused().await;
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let last = good.local_addr().unwrap();
        let (dialer, all) = (Dialer::default(), [first, second, third, last]);
        assert_eq!(connect(&dialer, &all).await.unwrap(), last);
        assert_eq!(dialer.order(&all).first(), Some(&last), "the others are tried last from then on");
        assert_eq!(connect(&dialer, &all).await.unwrap(), last);
    }

    #[tokio::test(start_paused = true)]
    async fn if_every_address_fails_the_last_failure_is_the_error_and_at_the_deadline_the_time_out() {
        let (refusing, _socket) = refused().await;
        let dialer = Dialer::default();
        assert!(matches!(connect(&dialer, &[refusing]).await, Err(ConnectError::Refused { .. })));
        let (silent, _listener, _held) = silent().await;
        let soon = Instant::now() + Duration::from_millis(300);
        let result = dialer.connect(&[silent, refusing], soon, TIMEOUT).await;
        assert!(matches!(result, Err(ConnectError::Timeout { .. })), "{result:?}");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let dialer = Dialer::default();
        for port in 1..=1000 {
            dialer.remember(SocketAddr::new([192, 0, 2, 1].into(), port));
        }
        assert_eq!(dialer.failed.lock().unwrap().len(), MAX_FAILED);
    }
}
