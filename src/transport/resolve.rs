//! The addresses of a service's name: one look-up at a time, whose result serves for a minute if others fail.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::tasks::Tasks;

use super::error::ConnectError;

/// How long addresses are used without another look-up, so that a burst of connections makes one.
const FRESH_FOR: Duration = Duration::from_secs(5);

/// How long addresses are used if another look-up fails or does not end.
const USABLE_FOR: Duration = Duration::from_secs(60);

/// How long a connection waits for another look-up if there are usable addresses.
const REFRESH_TIMEOUT: Duration = Duration::from_millis(500);

/// The most addresses of a name that are used.
const MAX_ADDRESSES: usize = 16;

type Addresses = Arc<[SocketAddr]>;
type LookUp = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// A resolver of one name. All workers share it, so that an outage of the name servers does not fill their threads.
pub struct Resolver {
    host: String,
    look_up: Box<dyn Fn() -> LookUp + Send + Sync>,
    state: Mutex<State>,
    /// Receives the result of each look-up.
    ended: watch::Sender<Option<LookUpResult>>,
}

#[derive(Default)]
struct State {
    last_good: Option<(Addresses, Instant)>,
    is_looking_up: bool,
}

/// The result of a look-up: addresses, or the system's error.
type LookUpResult = Result<Addresses, (io::ErrorKind, String)>;

impl fmt::Debug for Resolver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Resolver").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Resolver {
    /// Creates a resolver that asks the system for the addresses of a name, for connections to this port.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Resolver {
        let name = host.to_owned();
        Resolver::with_look_up(host, move || {
            let name = name.clone();
            Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
        })
    }

    fn with_look_up(host: &str, look_up: impl Fn() -> LookUp + Send + Sync + 'static) -> Resolver {
        let state = Mutex::default();
        Resolver { host: host.to_owned(), look_up: Box::new(look_up), state, ended: watch::Sender::new(None) }
    }

    /// Returns the name's addresses, at the deadline at the latest; `timeout` is the time until then, for the error. A look-up
    /// that takes longer goes on, for later connections.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Resolve`] and [`ConnectError::ResolveTimeout`].
    pub async fn addresses(
        self: &Arc<Self>,
        deadline: Instant,
        timeout: Duration,
        tasks: &Tasks,
    ) -> Result<Addresses, ConnectError> {
        let now = Instant::now();
        let known = self.state().last_good.clone().filter(|(_, since)| now - *since < USABLE_FOR);
        if let Some((addresses, since)) = &known
            && now - *since < FRESH_FOR
        {
            return Ok(Arc::clone(addresses));
        }
        let mut ended = self.ended.subscribe();
        self.begin(tasks);
        let wait = if known.is_some() { deadline.min(now + REFRESH_TIMEOUT) } else { deadline };
        let failed = match timeout_at(wait, ended.changed()).await.map(|_| ended.borrow().clone()) {
            Ok(Some(Ok(addresses))) => return Ok(addresses),
            Ok(Some(Err((kind, text)))) => {
                ConnectError::Resolve { host: self.host.clone(), source: io::Error::new(kind, text) }
            }
            Ok(None) | Err(_) => ConnectError::ResolveTimeout { host: self.host.clone(), after: timeout },
        };
        known.map(|(addresses, _)| addresses).ok_or(failed)
    }

    /// Begins a look-up, unless one is under way.
    pub fn begin(self: &Arc<Self>, tasks: &Tasks) {
        if std::mem::replace(&mut self.state().is_looking_up, true) {
            return;
        }
        let (pending, found) = (PendingLookUp(Some(Arc::clone(self))), (self.look_up)());
        tasks.spawn_untracked(async move { pending.end(found.await) });
    }

    fn end(&self, found: io::Result<Vec<SocketAddr>>) {
        let ended = match found {
            Ok(found) if found.is_empty() => Err((io::ErrorKind::NotFound, "it has no address".to_owned())),
            Ok(found) => Ok(found.into_iter().take(MAX_ADDRESSES).collect::<Addresses>()),
            Err(error) => Err((error.kind(), error.to_string())),
        };
        let mut state = self.state();
        state.is_looking_up = false;
        if let Ok(addresses) = &ended {
            state.last_good = Some((Arc::clone(addresses), Instant::now()));
        }
        drop(state);
        self.ended.send_replace(Some(ended));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look-up that has begun. It fails if it is dropped before its end: it panicked, or its worker ended.
struct PendingLookUp(Option<Arc<Resolver>>);

impl PendingLookUp {
    fn end(mut self, found: io::Result<Vec<SocketAddr>>) {
        if let Some(resolver) = self.0.take() {
            resolver.end(found);
        }
    }
}

impl Drop for PendingLookUp {
    fn drop(&mut self) {
        if let Some(resolver) = self.0.take() {
            resolver.end(Err(io::Error::other("the look-up was cut off")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::runtime::Handle;
    use tokio::time::advance;

    use super::super::error::FailureCode;
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// Returns a resolver whose look-ups take these seconds and have these results, one after another, and how many were
    /// begun.
    fn resolver(answers: &'static [(u64, Option<&'static str>)]) -> (Arc<Resolver>, Arc<AtomicUsize>) {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let resolver = Resolver::with_look_up("upstream.test", move || {
            let (seconds, address) = answers[count.fetch_add(1, Ordering::SeqCst)];
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                address.map(|address| vec![address.parse().unwrap()]).ok_or_else(|| io::Error::other("no answer"))
            })
        });
        (Arc::new(resolver), begun)
    }

    async fn ask(resolver: &Arc<Resolver>) -> Result<String, ConnectError> {
        let tasks = Tasks::new(Handle::current());
        let found = resolver.addresses(Instant::now() + TIMEOUT, TIMEOUT, &tasks).await;
        found.map(|addresses| addresses[0].to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_ask_at_once_wait_for_one_look_up_and_a_burst_after_it_makes_no_other() {
        let (resolver, begun) = resolver(&[(1, Some("192.0.2.1:443"))]);
        let asked: Vec<_> = (0..100).map(|_| Arc::clone(&resolver)).collect();
        let asked: Vec<_> =
            asked.into_iter().map(|resolver| tokio::spawn(async move { ask(&resolver).await })).collect();
        for asked in asked {
            assert_eq!(asked.await.unwrap().unwrap(), "192.0.2.1:443");
        }
        assert_eq!(ask(&resolver).await.unwrap(), "192.0.2.1:443");
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_good_addresses_serve_for_a_minute_while_name_servers_fail_or_are_silent() {
        const NEVER: u64 = 1_000_000;
        let (resolver, begun) = resolver(&[(0, Some("192.0.2.1:443")), (0, None), (NEVER, None)]);
        assert!(ask(&resolver).await.is_ok());
        for looked_up in [2, 3, 3] {
            advance(FRESH_FOR).await;
            assert_eq!(ask(&resolver).await.unwrap(), "192.0.2.1:443");
            assert_eq!(begun.load(Ordering::SeqCst), looked_up, "a look-up that is under way is waited for");
        }
        advance(USABLE_FOR).await;
        let error = ask(&resolver).await.unwrap_err();
        assert!(matches!(error, ConnectError::ResolveTimeout { .. }), "{error:?}");
        assert_eq!(error.code(), FailureCode::Dns);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_name_with_many_addresses_the_first_sixteen_are_used() {
        let all: Vec<SocketAddr> = (1..=1000).map(|port| ([192, 0, 2, 1], port).into()).collect();
        let answer = all.clone();
        let resolver = Arc::new(Resolver::with_look_up("upstream.test", move || {
            let answer = answer.clone();
            Box::pin(async { Ok(answer) })
        }));
        let tasks = Tasks::new(Handle::current());
        let found = resolver.addresses(Instant::now() + TIMEOUT, TIMEOUT, &tasks).await.unwrap();
        assert_eq!(*found, all[..16]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_takes_longer_than_a_connection_may_serves_those_that_come_next() {
        let (resolver, begun) = resolver(&[(6, Some("192.0.2.1:443"))]);
        assert!(ask(&resolver).await.is_err());
        assert_eq!(ask(&resolver).await.unwrap(), "192.0.2.1:443");
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_panics_fails_at_once_and_the_next_connection_begins_another() {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let resolver = Arc::new(Resolver::with_look_up("upstream.test", move || {
            count.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { panic!("no thread") })
        }));
        for looked_up in [1, 2] {
            let error = ask(&resolver).await.unwrap_err();
            assert!(matches!(error, ConnectError::Resolve { .. }), "{error:?}");
            assert_eq!(begun.load(Ordering::SeqCst), looked_up);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn changed_addresses_are_used_when_the_old_ones_are_not_fresh_any_more() {
        let (resolver, _) = resolver(&[(0, Some("192.0.2.1:443")), (0, Some("192.0.2.2:443"))]);
        assert_eq!(ask(&resolver).await.unwrap(), "192.0.2.1:443");
        advance(FRESH_FOR).await;
        assert_eq!(ask(&resolver).await.unwrap(), "192.0.2.2:443");
    }
}
