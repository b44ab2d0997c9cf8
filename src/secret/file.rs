//! A key in a file, as Kubernetes, Docker and systemd mount it, and perhaps the key before in another.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

use crate::files::{self, Changes};

use super::store::{PATIENCE, Pace};
use super::{Error, Fetched, Invalid, MAX_LENGTH, Secret, without_line_break};

/// A file that could not be read is tried again when it changes; and so often besides, since what kept it from being read may be
/// something else.
pub(super) const PACE: Pace = Pace { every: Duration::from_secs(5), longest: Duration::from_secs(10) };

/// How long the files must hold the same for it to be taken in: a file that is written in place is half a key for a moment,
/// and an empty one.
const SETTLED: Duration = Duration::from_millis(100);

/// How often they are looked at for that.
const LOOKS: usize = 10;

/// A key, and a line break of two characters.
const LIMIT: usize = MAX_LENGTH + 2;

/// Looks at one file, or two.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    previous: Option<PathBuf>,
    /// What they held when that was last handed on.
    known: Option<Found>,
}

type Found = Result<Fetched, Error>;

impl Store {
    pub(super) fn new(path: &Path, previous: Option<&Path>) -> Store {
        Store { path: path.to_owned(), previous: previous.map(Path::to_owned), known: None }
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Begins to watch the files.
    pub(super) fn changes(&self) -> Changes {
        Changes::of([&self.path].into_iter().chain(&self.previous).cloned(), LIMIT)
    }

    /// What the files hold; where that is news, once it has settled.
    pub(super) async fn fetch(&mut self) -> Found {
        let mut found = self.look().await;
        for _ in 0..LOOKS {
            if self.known.as_ref().is_none_or(|known| same(known, &found)) {
                self.known = Some(found.clone());
                return found;
            }
            sleep(SETTLED).await;
            let before = std::mem::replace(&mut found, self.look().await);
            if same(&before, &found) {
                self.known = None;
            }
        }
        Err(Error::Restless { path: self.path.clone() })
    }

    async fn look(&self) -> Found {
        let key = read(&self.path).await?;
        let Some(previous) = &self.previous else { return Ok(Fetched { key, previous: None }) };
        let previous = Some(read(previous).await).filter(|found| {
            // Between two rotations there is no key before.
            !matches!(found, Err(Error::Missing { .. } | Error::Invalid { invalid: Invalid::Empty, .. }))
        });
        Ok(Fetched { key, previous })
    }
}

/// Two reasons for a missing key are not told apart: neither is a key.
fn same(one: &Found, other: &Found) -> bool {
    let (one, other) = match (one, other) {
        (Ok(one), Ok(other)) => (one, other),
        (one, other) => return one.is_err() == other.is_err(),
    };
    let before = match (&one.previous, &other.previous) {
        (Some(Ok(one)), Some(Ok(other))) => one.is(other),
        (Some(Err(_)), Some(Err(_))) | (None, None) => true,
        _ => false,
    };
    before && one.key.is(&other.key)
}

/// Reads the whole file; one line break at its end is not part of the key.
async fn read(path: &Path) -> Result<Secret, Error> {
    let place = || path.display().to_string();
    let failed = |error: &io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Error::Missing { path: path.to_owned() },
        ErrorKind::IsADirectory => Error::Directory { path: path.to_owned() },
        ErrorKind::FileTooLarge => Error::Invalid { place: place(), invalid: Invalid::TooLong },
        ErrorKind::TimedOut => Error::Slow { place: place(), after: PATIENCE },
        _ => Error::Unreadable { path: path.to_owned(), reason: error.to_string() },
    };
    let bytes = files::read(path, LIMIT).await.map_err(|error| failed(&error))?;
    Secret::from_slice(without_line_break(&bytes)).map_err(|invalid| Error::Invalid { place: place(), invalid })
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

    async fn fetched(store: &mut Store) -> Result<String, Error> {
        let fetched = store.fetch().await?;
        Ok(String::from_utf8(fetched.key.expose().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_file_that_is_being_written_is_taken_in_when_it_has_settled() {
        let (_directory, path) = file(WHOLE);
        let mut store = Store::new(&path, None);
        for (first, then) in [("", ANOTHER), ("anot", ANOTHER), ("another-01234567", ANOTHER), ("", "")] {
            write(&path, WHOLE).unwrap();
            assert_eq!(fetched(&mut store).await.unwrap(), WHOLE);
            write(&path, first).unwrap();
            // The first look at the file comes before what is written then.
            let later = async {
                sleep(SETTLED / 2).await;
                write(&path, then).unwrap();
            };
            let (fetched, ()) = tokio::join!(fetched(&mut store), later);
            assert_eq!(fetched.ok(), (!then.is_empty()).then(|| then.to_owned()), "{first:?}, then {then:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_file_that_never_holds_still_is_no_key() {
        // The system makes another one for each reader.
        let mut store = Store::new(Path::new("/proc/sys/kernel/random/uuid"), None);
        assert!(store.fetch().await.is_ok());
        let fetched = store.fetch().await;
        assert!(matches!(fetched, Err(Error::Restless { .. })), "{fetched:?}");
    }

    #[tokio::test]
    async fn the_key_before_may_be_absent_and_what_else_is_wrong_with_it_is_said() {
        let (directory, path) = file("new-0123456789abc");
        let before = directory.path().join("before");
        let mut store = Store::new(&path, Some(&before));
        let mut previous = async |content: Option<&str>| {
            if let Some(content) = content {
                write(&before, content).unwrap();
            }
            let previous = store.fetch().await.unwrap().previous;
            previous.map(|previous| previous.map(|key| key.expose().to_vec()).map_err(|error| error.name()))
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
    async fn one_line_break_at_the_end_is_not_part_of_the_key() {
        for content in ["sk-0123456789abc", "sk-0123456789abc\n", "sk-0123456789abc\r\n"] {
            let (_directory, path) = file(content);
            assert_eq!(read(&path).await.unwrap().expose(), b"sk-0123456789abc", "{content:?}");
        }
        let longest = "k".repeat(MAX_LENGTH);
        let (_directory, path) = file(format!("{longest}\r\n"));
        assert_eq!(read(&path).await.unwrap().expose(), longest.as_bytes());
    }

    #[tokio::test]
    async fn a_file_that_holds_no_key_says_why_and_shows_nothing() {
        for (content, expected) in [
            (String::new(), Invalid::Empty),
            ("\n".to_owned(), Invalid::Empty),
            ("CANARY\n".to_owned(), Invalid::TooShort),
            ("CANARY-01234567".to_owned(), Invalid::TooShort),
            ("CANARY\n\n".to_owned(), Invalid::Space),
            ("CANARY CANARY".to_owned(), Invalid::Space),
            ("CANARY\u{e9}".to_owned(), Invalid::NotVisible),
            ("CANARY".repeat(2000), Invalid::TooLong),
            (format!("{}\n\n", "k".repeat(MAX_LENGTH)), Invalid::TooLong),
        ] {
            let (_directory, path) = file(content);
            let error = read(&path).await.unwrap_err();
            assert!(matches!(&error, Error::Invalid { invalid, .. } if *invalid == expected), "{error:?}");
            assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_path_without_a_readable_file_says_what_to_do() {
        let (directory, _path) = file("sk-0123456789abc");
        let at = async |path: &str| read(&directory.path().join(path)).await.unwrap_err();
        assert!(matches!(at("absent").await, Error::Missing { .. }));
        assert!(matches!(at("key/below").await, Error::Missing { .. }));
        assert!(matches!(at(".").await, Error::Directory { .. }));
        assert!(at("absent").await.to_string().contains("put the key there"));
        assert!(matches!(at("nul\0byte").await, Error::Unreadable { .. }));
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(at("pipe").await.to_string().contains("not a regular file"), "opening it would wait for a writer");
    }
}
