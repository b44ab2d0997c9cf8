//! An upstream that speaks HTTP/2 frame by frame, and misbehaves on command.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use asteroid_gateway::simulator::tls;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Configuration;
use super::asteroid::certificates;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const INTERNAL_ERROR: u32 = 2;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// The behaviour of the upstream after it has read a request to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Behaviour {
    /// 202.
    Answer,
    /// 103 and 202.
    AnswerTwice,
    /// 202, once there is a request for every behaviour of the list.
    AnswerTogether,
    Reset(u32),
    /// An interim answer with this status, and RST_STREAM with this code.
    InterimThenReset(&'static str, u32),
    /// An interim answer with this status, and GOAWAY whose last stream is the one before.
    InterimThenGoAwayBelow(&'static str),
    /// GOAWAY whose last stream is the one before; earlier requests are still served.
    GoAwayBelow(u32),
    /// GOAWAY whose last stream is this one, and 202.
    GoAwayAndAnswer,
    /// GOAWAY whose last stream is this one, and 202, once there is a request for every behaviour of the list.
    GoAwayAndAnswerTogether,
    /// GOAWAY whose last stream is this one, and the end of the connection.
    GoAwayAndClose,
    /// The same with an error and this text as debug data. A PING before it contains the end of the text.
    GoAwaySaying(&'static str),
    Close,
    /// The head of a 202, and RST_STREAM or, without a code, the end of the connection.
    HeadThen(Option<u32>),
    /// The head, half of the body, and RST_STREAM.
    HalfThen(u32),
    /// The head, half of the body, and END_STREAM.
    Half,
    /// The head of a 202 without a length, these parts of a body in a frame each, and END_STREAM.
    Parts(&'static [Vec<u8>]),
    /// The head of a 202 without a length, a whole object, and RST_STREAM in place of END_STREAM.
    OpenThen(u32),
    /// The same, but nothing in place of END_STREAM.
    OpenThenSilence,
    /// The same, but in place of END_STREAM a GOAWAY whose last stream is the one before.
    OpenThenGoAway,
    /// The head of a 202 without a length, more than the gateway keeps of an answer, and RST_STREAM.
    LongThen(u32),
    /// 202 to its end, and RST_STREAM.
    AnswerThenReset(u32),
    /// 103 again and again.
    Interim,
    /// A frame that HTTP/2 forbids.
    Garbage,
    /// No answer to this request.
    Silence,
    /// No answer any more, not to later requests and PING either.
    Deaf,
}

impl Behaviour {
    /// Returns whether it says, by the rules of HTTP/2, that the request was not processed.
    fn is_refusal(self) -> bool {
        matches!(self, Behaviour::Reset(REFUSED_STREAM) | Behaviour::GoAwayBelow(_))
    }
}

/// A running upstream.
pub(crate) struct UnrulyUpstream {
    address: SocketAddr,
    seen: Arc<Mutex<UpstreamCounts>>,
    certificates: TempDir,
    _stop: oneshot::Sender<Infallible>,
}

/// The numbers of received connections and requests.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct UpstreamCounts {
    pub(crate) connections: usize,
    pub(crate) requests: usize,
    /// The processed requests, which may have started executions.
    pub(crate) starts: usize,
}

impl UnrulyUpstream {
    /// Starts an upstream with one behaviour for each request, and then ordinary answers. It sends `settings` first;
    /// without them, it sends nothing at all.
    pub(crate) fn start(settings: Option<&'static [u8]>, behaviours: &'static [Behaviour]) -> UnrulyUpstream {
        let certificates = certificates("localhost");
        let at = |name: &str| certificates.path().join(name);
        let acceptor = TlsAcceptor::from(tls::server(&at("cert.pem"), &at("key.pem"), false).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let seen = Arc::<Mutex<UpstreamCounts>>::default();
        let serving = serve(listener, acceptor, settings, behaviours, Arc::clone(&seen));
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    never = serving => match never {},
                    _ = stopped => {}
                }
            });
        });
        UnrulyUpstream { address, seen, certificates, _stop: stop }
    }

    /// Returns the smallest configuration of a gateway in front of it.
    pub(crate) fn configuration(&self) -> Configuration {
        let ca = self.certificates.path().join("ca.pem");
        Configuration::for_upstream(&format!("https://localhost:{}/agents/v2", self.address.port()))
            .upstream(&format!("ca_file: '{}'", ca.display()))
    }

    pub(crate) fn seen(&self) -> UpstreamCounts {
        *self.seen.lock().unwrap()
    }
}

async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    settings: Option<&'static [u8]>,
    behaviours: &'static [Behaviour],
    seen: Arc<Mutex<UpstreamCounts>>,
) -> Infallible {
    let together = Arc::new(Barrier::new(behaviours.len().max(1)));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seen.lock().unwrap().connections += 1;
        let (acceptor, seen, together) = (acceptor.clone(), Arc::clone(&seen), Arc::clone(&together));
        tokio::spawn(async move {
            let mut peer = Peer { stream: acceptor.accept(stream).await.unwrap(), last: u32::MAX };
            // Ends when either side ends the connection.
            drop(peer.converse(settings, behaviours, &seen, &together).await);
        });
    }
}

struct Peer {
    stream: TlsStream<TcpStream>,
    /// The last stream that is served, after a GOAWAY.
    last: u32,
}

impl Peer {
    async fn converse(
        &mut self,
        settings: Option<&[u8]>,
        behaviours: &[Behaviour],
        seen: &Mutex<UpstreamCounts>,
        together: &Barrier,
    ) -> std::io::Result<()> {
        let mut preface = [0; 24];
        self.stream.read_exact(&mut preface).await?;
        match settings {
            Some(settings) => self.frame(SETTINGS, 0, 0, settings).await?,
            None => std::future::pending().await,
        }
        loop {
            let (kind, flags, stream) = self.read().await?;
            if kind == SETTINGS && flags & ACK == 0 {
                // The gateway's windows apply from this acknowledgement.
                self.frame(SETTINGS, ACK, 0, &[]).await?;
            }
            // A request that crossed the GOAWAY is sent again on another connection.
            if !matches!(kind, DATA | HEADERS) || flags & END_STREAM == 0 || stream > self.last {
                continue;
            }
            let behaviour = {
                let mut seen = seen.lock().unwrap();
                let behaviour = behaviours.get(seen.requests).copied().unwrap_or(Behaviour::Answer);
                seen.requests += 1;
                seen.starts += usize::from(!behaviour.is_refusal());
                behaviour
            };
            match behaviour {
                Behaviour::Answer => self.answer(stream).await?,
                Behaviour::AnswerTwice => {
                    self.interim(stream, "103").await?;
                    self.answer(stream).await?;
                }
                Behaviour::GoAwayAndAnswerTogether => {
                    self.go_away(stream, NO_ERROR).await?;
                    together.wait().await;
                    self.answer(stream).await?;
                }
                Behaviour::AnswerTogether => {
                    together.wait().await;
                    self.answer(stream).await?;
                }
                Behaviour::Reset(code) => self.reset(stream, code).await?,
                Behaviour::InterimThenReset(status, code) => {
                    self.interim(stream, status).await?;
                    self.reset(stream, code).await?;
                }
                Behaviour::InterimThenGoAwayBelow(status) => {
                    self.interim(stream, status).await?;
                    self.go_away(stream.saturating_sub(2), NO_ERROR).await?;
                }
                Behaviour::GoAwayBelow(code) => self.go_away(stream.saturating_sub(2), code).await?,
                Behaviour::GoAwayAndAnswer => {
                    self.go_away(stream, NO_ERROR).await?;
                    self.answer(stream).await?;
                }
                Behaviour::GoAwayAndClose => return self.go_away(stream, NO_ERROR).await,
                Behaviour::GoAwaySaying(text) => return self.say(stream, text.as_bytes()).await,
                Behaviour::Close => return Ok(()),
                Behaviour::HeadThen(code) => {
                    self.head(stream).await?;
                    match code {
                        Some(code) => self.reset(stream, code).await?,
                        None => return Ok(()),
                    }
                }
                Behaviour::HalfThen(code) => {
                    self.head(stream).await?;
                    self.frame(DATA, 0, stream, b"{").await?;
                    self.reset(stream, code).await?;
                }
                Behaviour::Half => {
                    self.head(stream).await?;
                    self.frame(DATA, END_STREAM, stream, b"{").await?;
                }
                Behaviour::Parts(parts) => {
                    self.frame(HEADERS, END_HEADERS, stream, b"\x08\x03202").await?;
                    for part in parts {
                        self.frame(DATA, 0, stream, part).await?;
                    }
                    self.frame(DATA, END_STREAM, stream, b"").await?;
                }
                Behaviour::OpenThen(code) => {
                    self.open(stream).await?;
                    self.reset(stream, code).await?;
                }
                Behaviour::OpenThenSilence => self.open(stream).await?,
                Behaviour::OpenThenGoAway => {
                    self.open(stream).await?;
                    self.go_away(stream.saturating_sub(2), NO_ERROR).await?;
                }
                Behaviour::LongThen(code) => {
                    self.open(stream).await?;
                    for _ in 0..6 {
                        self.frame(DATA, 0, stream, &[b' '; 16_000]).await?;
                    }
                    self.reset(stream, code).await?;
                }
                Behaviour::AnswerThenReset(code) => {
                    self.answer(stream).await?;
                    self.reset(stream, code).await?;
                }
                Behaviour::Interim => loop {
                    self.frame(HEADERS, END_HEADERS, stream, b"\x08\x03103").await?;
                },
                Behaviour::Deaf => std::future::pending().await,
                Behaviour::Garbage => self.frame(DATA, 0, 0, b"garbage").await?,
                Behaviour::Silence => {}
            }
        }
    }

    /// Sends `:status: 202` and `content-length: 2`, as literals.
    async fn head(&mut self, stream: u32) -> std::io::Result<()> {
        self.frame(HEADERS, END_HEADERS, stream, b"\x08\x03202\x0f\x0d\x012").await
    }

    /// Sends an answer that seems complete but has no END_STREAM.
    async fn open(&mut self, stream: u32) -> std::io::Result<()> {
        self.frame(HEADERS, END_HEADERS, stream, b"\x08\x03202").await?;
        self.frame(DATA, 0, stream, b"{}").await
    }

    async fn answer(&mut self, stream: u32) -> std::io::Result<()> {
        self.head(stream).await?;
        self.frame(DATA, END_STREAM, stream, b"{}").await
    }

    async fn interim(&mut self, stream: u32, status: &str) -> std::io::Result<()> {
        self.frame(HEADERS, END_HEADERS, stream, &[b"\x08\x03", status.as_bytes()].concat()).await
    }

    async fn reset(&mut self, stream: u32, code: u32) -> std::io::Result<()> {
        self.frame(RST_STREAM, 0, stream, &code.to_be_bytes()).await
    }

    async fn say(&mut self, last: u32, text: &[u8]) -> std::io::Result<()> {
        self.frame(PING, 0, 0, text.last_chunk::<8>().unwrap()).await?;
        let payload = [&last.to_be_bytes(), &INTERNAL_ERROR.to_be_bytes(), text].concat();
        self.frame(GOAWAY, 0, 0, &payload).await
    }

    async fn go_away(&mut self, last: u32, code: u32) -> std::io::Result<()> {
        self.last = last;
        self.frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat()).await
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.stream.write_all(&frame).await?;
        self.stream.flush().await
    }

    async fn read(&mut self) -> std::io::Result<(u8, u8, u32)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await?;
        let [_, a, b, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([a, b]))];
        self.stream.read_exact(&mut payload).await?;
        Ok((kind, flags, u32::from_be_bytes(stream)))
    }
}
