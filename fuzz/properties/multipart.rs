//! Uploads: for any bytes, the check of a body agrees with a second reading of the whole, however the body is cut.
//!
//! Format: a body with the boundary `X`.

/// A second reading. The gateway's own tests compare it with the gateway, too.
#[path = "../../src/asteroid/multipart/oracle.rs"]
mod oracle;

use asteroid_gateway::asteroid::multipart::{Boundary, Checker, Fault};

pub(crate) fn check(body: &[u8]) {
    let whole = verdict([body]);
    assert_eq!(whole.is_ok(), oracle::contents("X", body).is_some(), "{whole:?}");
    for size in [1, 2, 3, 7, 100] {
        assert_eq!(verdict(body.chunks(size)), whole, "in pieces of {size} bytes");
    }
    // Any bytes may be a content type.
    if let Ok(boundary) = Boundary::of(body) {
        assert!(Checker::new(boundary).finish().is_err(), "an empty body has no part");
    }
}

fn verdict<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Result<(), Fault> {
    let mut checker = Checker::new(Boundary::of(b"multipart/form-data; boundary=X").expect("it is a boundary"));
    for piece in pieces {
        checker.push(piece)?;
    }
    checker.finish()
}
