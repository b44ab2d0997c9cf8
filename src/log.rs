//! Lines on standard output, written in batches by a thread of their own.
//!
//! A request only copies its line into a buffer: a system call a line would cost more than everything else the gateway
//! does with a small request. A reader that stalls costs lines, never memory or requests, and the loss is reported.

mod line;

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use memchr::memmem;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::event;
use crate::facts::Facts;

/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(20);

/// Lines beyond this many waiting bytes are lost, and counted.
const CAPACITY: usize = 8 * 1024 * 1024;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// A handle to the log; clones write to the same place.
#[derive(Debug, Clone)]
pub struct Log {
    shared: Arc<Shared>,
    format: Format,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    lost: u64,
    /// The same since the start.
    ever_lost: u64,
    closed: bool,
    ended: bool,
}

impl Log {
    /// A log that writes to `output` until it is closed.
    ///
    /// # Errors
    ///
    /// Where the thread that writes cannot be started.
    pub fn new(output: impl Write + Send + 'static, format: Format) -> io::Result<Log> {
        let shared = Arc::new(Shared::default());
        let log = Log { shared: Arc::clone(&shared), format };
        std::thread::Builder::new().name("log".into()).spawn(move || shared.write_to(output, format))?;
        Ok(log)
    }

    /// How lines look.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// How many lines could not be written since the start.
    #[must_use]
    pub fn ever_lost(&self) -> u64 {
        self.shared.lock().ever_lost
    }

    /// Appends one line; `write` produces it with its line feed.
    pub fn append(&self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) {
        let mut queue = self.shared.lock();
        let before = queue.lines.len();
        if before >= CAPACITY || write(&mut queue.lines).is_err() {
            queue.lines.truncate(before);
            queue.lost += 1;
            queue.ever_lost += 1;
            return;
        }
        if before == 0 {
            self.shared.changed.notify_all();
        }
    }

    /// Appends the line of a request that has ended.
    pub fn request(&self, facts: &Facts) {
        let took = facts.took();
        self.append(|lines| match self.format {
            Format::Json => line::json(lines, facts, took),
            Format::Text => line::text(lines, facts, took),
        });
    }

    /// Writes what is waiting and ends; gives up after `patience`, because a reader may never read.
    pub fn close(&self, patience: Duration) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        self.shared.changed.notify_all();
        let waited = self.shared.changed.wait_timeout_while(queue, patience, |queue| !queue.ended);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A line that was half written when its writer panicked is still a line to look at.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut output: impl Write, format: Format) {
        let mut batch = Vec::new();
        loop {
            let waiting = self.changed.wait_while(self.lock(), |queue| queue.lines.is_empty() && !queue.closed);
            let mut queue = waiting.unwrap_or_else(PoisonError::into_inner);
            let closed = queue.closed;
            std::mem::swap(&mut batch, &mut queue.lines);
            let lost = std::mem::take(&mut queue.lost);
            drop(queue);
            let written = write_batch(&mut output, &batch, lost, format);
            let mut queue = self.lock();
            if written.is_err() {
                let lines = count_lines(&batch);
                queue.lost += lost + lines;
                queue.ever_lost += lines;
            }
            if closed && queue.lines.is_empty() {
                queue.ended = true;
                self.changed.notify_all();
                return;
            }
            drop(queue);
            // What the last batch needed the next one may, and what one burst needed is not kept for the rest of the day.
            let needed = batch.len();
            batch.clear();
            batch.shrink_to((2 * needed).max(16 * 1024));
            if !closed {
                std::thread::sleep(GATHER);
            }
        }
    }
}

fn write_batch(output: &mut impl Write, batch: &[u8], lost: u64, format: Format) -> io::Result<()> {
    if lost > 0 {
        write_loss(output, lost, format)?;
    }
    output.write_all(batch)?;
    output.flush()
}

/// Writes that lines were lost, in the manner of `tracing`, whose own lines come through the queue.
fn write_loss(output: &mut impl Write, lost: u64, format: Format) -> io::Result<()> {
    let (message, event) = ("log lines were lost because standard output could not be written", event::LOG_LINES_LOST);
    match format {
        Format::Json => {
            let now = humantime::format_rfc3339_micros(SystemTime::now());
            let begin = format_args!(r#""timestamp":"{now}","level":"ERROR""#);
            writeln!(output, r#"{{{begin},"message":"{message}","event":"{event}","lost":{lost}}}"#)
        }
        Format::Text => writeln!(output, "ERROR {message} event=\"{event}\" lost={lost}"),
    }
}

fn count_lines(batch: &[u8]) -> u64 {
    batch.iter().fold(0, |lines, byte| lines + u64::from(*byte == b'\n'))
}

/// How h2 shows bytes that a peer chose: what came with a GOAWAY, as a frame or an error, for people or in JSON; and a PING.
const QUOTES: [&[u8]; 5] = [b" b\"", b"(b\"", b" b\\\"", b"(b\\\"", b"payload: ["];

/// One event of `tracing`, which writes it in pieces.
#[derive(Debug)]
pub struct EventWriter {
    log: Log,
    line: Vec<u8>,
    /// Whether it is h2's, which shows frames.
    is_of_h2: bool,
}

impl EventWriter {
    /// Whether it shows what a peer chose to say: an upstream could have put the key there, in which nobody looks for it.
    fn quotes_a_peer(&self) -> bool {
        self.is_of_h2 && QUOTES.iter().any(|quote| memmem::find(&self.line, quote).is_some())
    }
}

impl Write for EventWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for EventWriter {
    fn drop(&mut self) {
        if self.quotes_a_peer() {
            return;
        }
        self.log.append(|lines| lines.write_all(&self.line));
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = EventWriter;

    fn make_writer(&'a self) -> EventWriter {
        EventWriter { log: self.clone(), line: Vec::new(), is_of_h2: false }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> EventWriter {
        EventWriter { log: self.clone(), line: Vec::new(), is_of_h2: event.target().starts_with("h2::") }
    }
}

/// Sends the events of `tracing` to a log. Of several calls in one process the first wins.
pub fn events_to(log: &Log, level: LevelFilter) {
    let events = tracing_subscriber::fmt().with_max_level(level).with_writer(log.clone());
    let begun = match log.format {
        Format::Json => events.json().flatten_event(true).with_target(false).finish().try_init(),
        Format::Text => events.with_ansi(false).with_target(false).without_time().finish().try_init(),
    };
    drop(begun);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// An output that fails or blocks as told, and hands over what it got.
    struct Output {
        gate: mpsc::Receiver<io::Result<()>>,
        got: mpsc::Sender<String>,
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.gate.recv().unwrap_or(Ok(()))?;
            self.got.send(String::from_utf8(bytes.to_vec()).unwrap()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(format: Format) -> (Log, mpsc::Sender<io::Result<()>>, mpsc::Receiver<String>) {
        let (open, gate) = mpsc::channel();
        let (got, seen) = mpsc::channel();
        (Log::new(Output { gate, got }, format).unwrap(), open, seen)
    }

    #[test]
    fn closing_writes_every_line_that_was_appended() {
        let (log, gate, seen) = log(Format::Json);
        drop(gate);
        for n in 0..1000 {
            log.append(|lines| writeln!(lines, "{n}"));
        }
        log.close(Duration::from_secs(10));
        drop(log);
        let all: String = seen.iter().collect();
        assert_eq!(all, (0..1000).map(|n| format!("{n}\n")).collect::<String>());
    }

    /// What is written after a batch of one line could not be.
    fn written_after_a_failure(format: Format) -> String {
        let (log, gate, seen) = log(format);
        gate.send(Err(io::Error::other("disk full"))).unwrap();
        log.append(|lines| writeln!(lines, "first"));
        while log.shared.lock().lost == 0 {
            std::thread::yield_now();
        }
        drop(gate);
        log.append(|lines| writeln!(lines, "second"));
        log.close(Duration::from_secs(10));
        assert_eq!(log.ever_lost(), 1);
        drop(log);
        seen.iter().collect()
    }

    #[test]
    fn lines_that_could_not_be_written_are_counted_in_the_next_batch_in_the_format_of_the_log() {
        let all = written_after_a_failure(Format::Json);
        let loss: serde_json::Value = serde_json::from_str(all.strip_suffix("second\n").unwrap()).unwrap();
        assert_eq!((&loss["event"], &loss["lost"]), (&event::LOG_LINES_LOST.into(), &1.into()));
        let all = written_after_a_failure(Format::Text);
        assert!(all.starts_with("ERROR ") && all.ends_with(" event=\"log.lines_lost\" lost=1\nsecond\n"), "{all}");
    }

    #[test]
    fn a_reader_that_stalls_costs_lines_and_not_memory() {
        let (log, gate, _seen) = log(Format::Json);
        let line = vec![b'x'; 1024 * 1024];
        for _ in 0..64 {
            log.append(|lines| lines.write_all(&line));
        }
        let queue = log.shared.lock();
        assert!(queue.lines.len() <= CAPACITY + line.len());
        assert!(queue.lost > 0);
        drop(queue);
        log.close(Duration::from_millis(1));
        drop(gate);
    }
}
