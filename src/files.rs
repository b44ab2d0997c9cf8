//! Files that an operator names: keys and certificates. Only regular ones are opened, because opening a pipe waits for a
//! writer that may never come.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use secrecy::zeroize::Zeroizing;

/// Opens a regular file, or a link to one.
///
/// # Errors
///
/// What the system says; [`ErrorKind::IsADirectory`]; [`ErrorKind::InvalidInput`] for pipes, sockets and devices.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    File::open(path)
}

/// Reads a whole file, which may hold a private key.
///
/// # Errors
///
/// Those of [`open`].
pub fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
