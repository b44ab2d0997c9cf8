//! The log: lines on standard output, written in batches by a separate thread.
//!
//! A request only copies its line into a buffer: one system call per line would cost more than everything else that the gateway
//! does for a small request. If the reader of standard output stalls, lines are dropped and counted. So memory stays bounded, and
//! no request waits.

mod line;

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt;

use crate::event;
use crate::facts::Facts;

/// The pause between the writing of two batches.
const FLUSH_INTERVAL: Duration = Duration::from_millis(20);

/// The bytes that may wait to be written; further lines are lost and counted.
const CAPACITY: usize = 8 * 1024 * 1024;

/// The format of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// One short line of text, for people.
    Text,
}

/// A handle to the log. Clones write to the same output.
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
    /// Lines lost since the last batch.
    lost: u64,
    /// Lines lost since the process started.
    ever_lost: u64,
    closed: bool,
    ended: bool,
}

impl Log {
    /// Starts the thread that writes to `output` until the log is closed, and returns the log.
    ///
    /// # Errors
    ///
    /// If the thread that writes cannot be started.
    pub fn new(output: impl Write + Send + 'static, format: Format) -> io::Result<Log> {
        let shared = Arc::new(Shared::default());
        let log = Log { shared: Arc::clone(&shared), format };
        std::thread::Builder::new().name("log".into()).spawn(move || shared.write_to(output, format))?;
        Ok(log)
    }

    /// Returns how many lines were lost since the process started.
    #[must_use]
    pub fn lost_lines(&self) -> u64 {
        self.shared.lock().ever_lost
    }

    /// Appends one line. `write` writes it, with its line feed.
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
    pub fn append_request(&self, facts: &Facts) {
        let took = facts.took();
        self.append(|lines| match self.format {
            Format::Json => line::write_json(lines, facts, took),
            Format::Text => line::write_text(lines, facts, took),
        });
    }

    /// Writes the waiting lines and ends the thread. Returns after `timeout` at the latest, because the reader may have stalled.
    pub fn close(&self, timeout: Duration) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        self.shared.changed.notify_all();
        let waited = self.shared.changed.wait_timeout_while(queue, timeout, |queue| !queue.ended);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic while a line was appended leaves at worst a part of that line.
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
            // Keeps the memory that the next batch probably needs, and frees that of a burst.
            let needed = batch.len();
            batch.clear();
            batch.shrink_to((2 * needed).max(16 * 1024));
            if !closed {
                std::thread::sleep(FLUSH_INTERVAL);
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

/// Writes a line that tells how many lines were lost, in the log's format.
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

/// A writer that collects one event of `tracing`, which arrives in pieces, and appends it to the log when dropped.
#[derive(Debug)]
pub struct EventWriter {
    log: Log,
    line: Vec<u8>,
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
        self.log.append(|lines| lines.write_all(&self.line));
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = EventWriter;

    fn make_writer(&'a self) -> EventWriter {
        EventWriter { log: self.clone(), line: Vec::new() }
    }
}

/// Writes the events of `tracing` to a log. Only the first call in a process has an effect.
///
/// Takes only the events of this crate: h2 logs frames with bytes that a peer chose. An upstream could put the API key there, and
/// nothing would redact it.
pub fn install(log: &Log, level: LevelFilter) {
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let lines = fmt::layer().with_writer(log.clone()).with_target(false);
    let installed = match log.format {
        Format::Json => registry().with(own).with(lines.json().flatten_event(true)).try_init(),
        Format::Text => registry().with(own).with(lines.with_ansi(false).without_time()).try_init(),
    };
    // An error means that an earlier call has installed a log.
    drop(installed);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// An output that fails or blocks as the test says, and passes on what was written to it.
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

    /// Returns what is written after the writing of one line has failed.
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
        assert_eq!(log.lost_lines(), 1);
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
