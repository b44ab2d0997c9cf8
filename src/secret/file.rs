//! A secret in a file, as Kubernetes, Docker and systemd mount it, and perhaps the previous one in another.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

use crate::files::{self, Changes};

use super::pace::{Pace, TIMEOUT};
use super::{Error, InvalidSecret, MAX_LENGTH, Secret, StoreContent, StoreProblem, without_line_break};

/// A file is read again when it changes. One that could not be read is also read again at these intervals, because the cause
/// may not be in the file.
pub(super) const PACE: Pace = Pace { every: Duration::from_secs(5), longest: Duration::from_secs(10) };

/// How long the files must stay the same before a change is accepted. A file that is written in place is empty for a moment,
/// and then contains half a secret.
const SETTLING_TIME: Duration = Duration::from_millis(100);

/// The most readings in which the files must settle.
const MAX_READINGS: usize = 10;

/// The most bytes of a file: the longest secret, and a line break of two characters.
const LIMIT: usize = MAX_LENGTH + 2;

/// The store of one file, or of two.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    previous: Option<PathBuf>,
    /// The reading that was last returned.
    known: Option<Reading>,
}

type Reading = Result<StoreContent, Error>;

impl FileStore {
    pub(super) fn new(path: &Path, previous: Option<&Path>) -> FileStore {
        FileStore { path: path.to_owned(), previous: previous.map(Path::to_owned), known: None }
    }

    pub(super) fn location(&self) -> String {
        self.path.display().to_string()
    }

    /// Begins to watch the files. Returns their changes.
    pub(super) fn changes(&self) -> Changes {
        Changes::of([&self.path].into_iter().chain(&self.previous).cloned(), LIMIT)
    }

    /// Reads the files. A change is returned once it has settled.
    pub(super) async fn fetch(&mut self) -> Reading {
        let mut reading = self.read().await;
        for _ in 0..MAX_READINGS {
            if self.known.as_ref().is_none_or(|known| is_same(known, &reading)) {
                self.known = Some(reading.clone());
                return reading;
            }
            sleep(SETTLING_TIME).await;
            let before = std::mem::replace(&mut reading, self.read().await);
            if is_same(&before, &reading) {
                self.known = None;
            }
        }
        Err(Error { location: self.location(), problem: StoreProblem::Unstable })
    }

    async fn read(&self) -> Reading {
        let current = read(&self.path).await?;
        let Some(previous) = &self.previous else { return Ok(StoreContent { current, previous: None }) };
        let previous = Some(read(previous).await).filter(|previous| {
            // Between two rotations there is no previous secret.
            let problem = previous.as_ref().err().map(|error| &error.problem);
            !matches!(problem, Some(StoreProblem::NoFile | StoreProblem::Invalid(InvalidSecret::Empty)))
        });
        Ok(StoreContent { current, previous })
    }
}

/// Returns whether two readings are the same. Any two errors are, because neither has a secret.
fn is_same(one: &Reading, other: &Reading) -> bool {
    let (one, other) = match (one, other) {
        (Ok(one), Ok(other)) => (one, other),
        (one, other) => return one.is_err() == other.is_err(),
    };
    let is_previous_same = match (&one.previous, &other.previous) {
        (Some(Ok(one)), Some(Ok(other))) => one.is(other),
        (Some(Err(_)), Some(Err(_))) | (None, None) => true,
        _ => false,
    };
    is_previous_same && one.current.is(&other.current)
}

/// Reads the secret from a file.
async fn read(path: &Path) -> Result<Secret, Error> {
    let error = |problem| Error { location: path.display().to_string(), problem };
    let problem = |error: &io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => StoreProblem::NoFile,
        ErrorKind::IsADirectory => StoreProblem::Directory,
        ErrorKind::FileTooLarge => StoreProblem::Invalid(InvalidSecret::TooLong),
        ErrorKind::TimedOut => StoreProblem::TimedOut(TIMEOUT),
        _ => StoreProblem::Unreadable(error.to_string()),
    };
    let bytes = files::read(path, LIMIT).await.map_err(|reason| error(problem(&reason)))?;
    Secret::from_slice(without_line_break(&bytes)).map_err(|invalid| error(StoreProblem::Invalid(invalid)))
}

#[cfg(test)]
mod tests {
    use std::fs::write;

    use super::*;

    const WHOLE: &str = "whole-0123456789";
    const ANOTHER: &str = "another-0123456789";

    fn file(content: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write(&path, content).unwrap();
        (directory, path)
    }

    async fn fetched(store: &mut FileStore) -> Result<String, Error> {
        let content = store.fetch().await?;
        Ok(String::from_utf8(content.current.expose().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_file_that_is_being_written_is_accepted_when_it_has_settled() {
        let (_directory, path) = file(WHOLE);
        let mut store = FileStore::new(&path, None);
        for (first, then) in [("", ANOTHER), ("anot", ANOTHER), ("another-01234567", ANOTHER), ("", "")] {
            write(&path, WHOLE).unwrap();
            assert_eq!(fetched(&mut store).await.unwrap(), WHOLE);
            write(&path, first).unwrap();
            // The file is read once before the second write.
            let later = async {
                sleep(SETTLING_TIME / 2).await;
                write(&path, then).unwrap();
            };
            let (fetched, ()) = tokio::join!(fetched(&mut store), later);
            assert_eq!(fetched.ok(), (!then.is_empty()).then(|| then.to_owned()), "{first:?}, then {then:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_file_that_changes_at_every_reading_is_refused() {
        // The system generates another UUID for each reader.
        let mut store = FileStore::new(Path::new("/proc/sys/kernel/random/uuid"), None);
        assert!(store.fetch().await.is_ok());
        assert_eq!(store.fetch().await.unwrap_err().problem, StoreProblem::Unstable);
    }

    #[tokio::test]
    async fn the_previous_secret_may_be_absent_and_any_other_problem_with_it_is_reported() {
        let (directory, path) = file("new-0123456789abc");
        let before = directory.path().join("before");
        let mut store = FileStore::new(&path, Some(&before));
        let mut previous = async |content: Option<&str>| {
            if let Some(content) = content {
                write(&before, content).unwrap();
            }
            let previous = store.fetch().await.unwrap().previous;
            previous.map(|previous| previous.map(|secret| secret.expose().to_vec()).map_err(|error| error.code()))
        };
        assert_eq!(previous(None).await, None);
        assert_eq!(previous(Some("")).await, None);
        assert_eq!(previous(Some("old-0123456789abc\n")).await, Some(Ok(b"old-0123456789abc".to_vec())));
        assert_eq!(previous(Some("older-0123456789")).await, Some(Ok(b"older-0123456789".to_vec())));
        for invalid in ["two words", "short"] {
            assert_eq!(previous(Some(invalid)).await, Some(Err("invalid")));
        }
    }

    #[tokio::test]
    async fn one_line_break_at_the_end_is_not_part_of_the_secret() {
        for content in ["sk-0123456789abc", "sk-0123456789abc\n", "sk-0123456789abc\r\n"] {
            let (_directory, path) = file(content);
            assert_eq!(read(&path).await.unwrap().expose(), b"sk-0123456789abc", "{content:?}");
        }
        let longest = "k".repeat(MAX_LENGTH);
        let (_directory, path) = file(format!("{longest}\r\n"));
        assert_eq!(read(&path).await.unwrap().expose(), longest.as_bytes());
    }

    #[tokio::test]
    async fn the_error_of_a_file_without_a_secret_says_why_and_shows_nothing() {
        for (content, expected) in [
            (String::new(), InvalidSecret::Empty),
            ("\n".to_owned(), InvalidSecret::Empty),
            ("CANARY\n".to_owned(), InvalidSecret::TooShort),
            ("CANARY-01234567".to_owned(), InvalidSecret::TooShort),
            ("CANARY\n\n".to_owned(), InvalidSecret::Space),
            ("CANARY CANARY".to_owned(), InvalidSecret::Space),
            ("CANARY\u{e9}".to_owned(), InvalidSecret::NotVisible),
            ("CANARY".repeat(2000), InvalidSecret::TooLong),
            (format!("{}\n\n", "k".repeat(MAX_LENGTH)), InvalidSecret::TooLong),
        ] {
            let (_directory, path) = file(content);
            let error = read(&path).await.unwrap_err();
            assert_eq!(error.problem, StoreProblem::Invalid(expected));
            assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn the_error_of_a_path_without_a_readable_file_says_what_to_do() {
        let (directory, _path) = file("sk-0123456789abc");
        let at = async |path: &str| read(&directory.path().join(path)).await.unwrap_err();
        assert_eq!(at("absent").await.problem, StoreProblem::NoFile);
        assert_eq!(at("key/below").await.problem, StoreProblem::NoFile);
        assert_eq!(at(".").await.problem, StoreProblem::Directory);
        assert!(at("absent").await.to_string().contains("put the API key there"));
        assert!(matches!(at("nul\0byte").await.problem, StoreProblem::Unreadable(_)));
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(at("pipe").await.to_string().contains("not a regular file"), "opening it would wait for a writer");
    }
}
