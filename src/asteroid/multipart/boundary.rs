//! The boundary of a body, which its `Content-Type` names.

use super::Fault;
use super::parameters::{self, Parameter};

/// The most characters of a boundary (RFC 2046, section 5.1.1).
const MAX_LENGTH: usize = 70;

/// The boundary of a `multipart/form-data` body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary(Vec<u8>);

impl Boundary {
    /// Reads the boundary from the `Content-Type` of a body.
    ///
    /// # Errors
    ///
    /// If it is not `multipart/form-data` with exactly one boundary of RFC 2046's form.
    pub fn of(content_type: &[u8]) -> Result<Boundary, Fault> {
        let (essence, parameters) = parameters::split(content_type);
        if !essence.eq_ignore_ascii_case(b"multipart/form-data") {
            return Err(Fault::MediaType);
        }
        let mut boundary = None;
        for parameter in parameters {
            let Parameter { name, value } = parameter.map_err(|_| Fault::ContentType)?;
            if name.eq_ignore_ascii_case(b"boundary") {
                if boundary.replace(value).is_some() {
                    return Err(Fault::RepeatedBoundary);
                }
            } else if name.get(..9).is_some_and(|begin| begin.eq_ignore_ascii_case(b"boundary*")) {
                // Some parsers put a boundary together from these (RFC 2231), and others see none.
                return Err(Fault::ContentType);
            }
        }
        let boundary = boundary.ok_or(Fault::NoBoundary)?;
        let is_valid = (1..=MAX_LENGTH).contains(&boundary.len())
            && boundary.iter().all(|byte| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte))
            && !boundary.ends_with(b" ");
        if is_valid { Ok(Boundary(boundary.to_vec())) } else { Err(Fault::Boundary) }
    }

    /// Returns two hyphens and the boundary.
    pub(super) fn into_delimiter(self) -> Vec<u8> {
        [b"--", &*self.0].concat()
    }
}
