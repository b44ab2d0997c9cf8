//! A key in a file, as Kubernetes, Docker and systemd mount it.

use std::io::{ErrorKind, Read};
use std::path::Path;

use secrecy::zeroize::Zeroizing;

use crate::files;

use super::{Error, MAX_LENGTH, Secret, without_line_break};

/// Reads the whole file; one line break at its end is not part of the key.
pub(super) fn read(path: &Path) -> Result<Secret, Error> {
    let failed = |error: &std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Error::Missing { path: path.to_owned() },
        ErrorKind::IsADirectory => Error::Directory { path: path.to_owned() },
        _ => Error::Unreadable { path: path.to_owned(), reason: error.to_string() },
    };
    // Larger than what is read by more than the reader's probe, so that the buffer never moves and leaves a copy.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LENGTH + 256));
    let most = u64::try_from(MAX_LENGTH).unwrap_or(u64::MAX).saturating_add(3);
    files::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(|error| failed(&error))?;
    Secret::from_slice(without_line_break(&bytes))
        .map_err(|invalid| Error::Invalid { place: path.display().to_string(), invalid })
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, Invalid, SecretRef};
    use super::*;

    fn file(content: impl AsRef<[u8]>) -> (tempfile::TempDir, SecretRef) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, content).unwrap();
        (directory, SecretRef::File(path))
    }

    fn read_at(place: &SecretRef) -> Result<Secret, Error> {
        place.read(&Environment::process())
    }

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_the_key() {
        for content in ["sk-1", "sk-1\n", "sk-1\r\n"] {
            let (_directory, place) = file(content);
            assert_eq!(read_at(&place).unwrap().expose(), b"sk-1", "{content:?}");
        }
        let longest = "k".repeat(MAX_LENGTH);
        let (_directory, place) = file(format!("{longest}\r\n"));
        assert_eq!(read_at(&place).unwrap().expose(), longest.as_bytes());
    }

    #[test]
    fn a_file_that_holds_no_key_says_why_and_shows_nothing() {
        for (content, expected) in [
            (String::new(), Invalid::Empty),
            ("\n".to_owned(), Invalid::Empty),
            ("CANARY\n\n".to_owned(), Invalid::Space),
            ("CANARY CANARY".to_owned(), Invalid::Space),
            ("CANARY\u{e9}".to_owned(), Invalid::NotVisible),
            ("CANARY".repeat(2000), Invalid::TooLong),
            (format!("{}\n\n", "k".repeat(MAX_LENGTH)), Invalid::TooLong),
        ] {
            let (_directory, place) = file(content);
            let error = read_at(&place).unwrap_err();
            let SecretRef::File(path) = &place else { panic!("not a file") };
            assert!(matches!(&error, Error::Invalid { invalid, .. } if *invalid == expected), "{error:?}");
            assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
        }
    }

    #[test]
    fn a_path_without_a_readable_file_says_what_to_do() {
        let (directory, _place) = file("sk-1");
        let at = |path: &str| read_at(&SecretRef::File(directory.path().join(path))).unwrap_err();
        assert!(matches!(at("absent"), Error::Missing { .. }));
        assert!(matches!(at("key/below"), Error::Missing { .. }));
        assert!(matches!(at("."), Error::Directory { .. }));
        assert!(at("absent").to_string().contains("put the key there"));
        assert!(matches!(at("nul\0byte"), Error::Unreadable { .. }));
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(at("pipe").to_string().contains("not a regular file"), "opening it would wait for a writer");
    }
}
