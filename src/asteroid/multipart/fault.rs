//! The reasons why a body is not an upload.

use super::{MAX_HEAD, MAX_HEADERS, MAX_PARTS};

/// The reason why a body is not an upload. Its text is for the caller. It holds no byte of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The `Content-Type` is of another type.
    #[error("an upload must have the Content-Type multipart/form-data with a boundary")]
    MediaType,
    /// The parameters of the `Content-Type` cannot be read.
    #[error("the parameters of Content-Type cannot be read; write multipart/form-data; boundary=\"…\"")]
    ContentType,
    /// The `Content-Type` names no boundary.
    #[error(
        "Content-Type has no boundary; let the HTTP client set this header, or write multipart/form-data; boundary=\"…\""
    )]
    NoBoundary,
    /// The `Content-Type` names more than one boundary.
    #[error("Content-Type has more than one boundary; keep one")]
    RepeatedBoundary,
    /// The boundary is not of RFC 2046's form.
    #[error(
        "the boundary in Content-Type must be 1 to 70 letters, digits or characters of '()+_,-./:=? that do not end in a blank"
    )]
    Boundary,
    /// The body does not begin with the first delimiter.
    #[error(
        "the body must begin with two hyphens, the boundary of Content-Type and CRLF; send nothing before that, and CRLF as line ends"
    )]
    Opening,
    /// The body has no part.
    #[error("the body has no part; send at least one file in the field `files`")]
    Empty,
    /// The head of a part is faulty.
    #[error("part {part} of the body: {fault}")]
    Head {
        /// The number of the part, from 1.
        part: usize,
        /// The fault.
        fault: HeadFault,
    },
    /// The boundary is in the content of a part, where parsers differ about its end.
    #[error("part {part} of the body: the boundary occurs in the content; choose a longer boundary at random")]
    BoundaryInContent {
        /// The number of the part, from 1.
        part: usize,
    },
    /// There are more parts than an upload may have.
    #[error("the body has more than {MAX_PARTS} parts; send the files in several requests")]
    TooManyParts,
    /// The body ends before its last delimiter.
    #[error(
        "the body ends in part {part}, before the boundary with two hyphens behind it; send the upload again as a whole"
    )]
    Unfinished {
        /// The number of the part, from 1.
        part: usize,
    },
    /// Something follows the last delimiter.
    #[error("the body goes on after its last boundary; send nothing behind that but CRLF")]
    Epilogue,
}

/// A fault in the head of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// It is too long.
    #[error("its headers are longer than {MAX_HEAD} bytes; send fewer headers, or a shorter file name")]
    TooLong,
    /// It has too many headers.
    #[error("it has more than {MAX_HEADERS} headers; send Content-Disposition and Content-Type alone")]
    TooManyHeaders,
    /// A line ends in a lone CR or LF.
    #[error("a line of its headers does not end in CRLF; write CR and LF, and %0D or %0A in a file name")]
    LineEnd,
    /// A line continues the one before.
    #[error("a header goes on in a second line; write each header in one line")]
    Folded,
    /// A line has a control character.
    #[error("its headers have a control character; leave it out, also of the file name")]
    ControlCharacter,
    /// A line is not UTF-8.
    #[error("its headers are not UTF-8; write the file name in UTF-8")]
    Utf8,
    /// A line is not a header.
    #[error("a line of its headers is not a name, a colon and a value; write an empty line before the content")]
    Header,
    /// A header that may occur once is repeated.
    #[error("Content-Disposition, Content-Type or Content-Transfer-Encoding occurs more than once; keep one")]
    RepeatedHeader,
    /// A line is the boundary.
    #[error("the boundary occurs in its headers; write an empty line and the content before the next boundary")]
    Delimiter,
    /// It has no `Content-Disposition`.
    #[error("it has no Content-Disposition; write form-data; name=\"files\"; filename=\"…\"")]
    NoDisposition,
    /// The `Content-Disposition` is not that of a field.
    #[error("its Content-Disposition cannot be read; write form-data; name=\"files\"; filename=\"…\"")]
    Disposition,
    /// A quotation mark follows a backslash.
    #[error(
        "its Content-Disposition has a quotation mark after a backslash, which servers read differently; write %22 for the mark"
    )]
    Backslash,
    /// A parameter occurs twice.
    #[error("its Content-Disposition has a parameter more than once; keep one")]
    RepeatedParameter,
    /// A parameter is none that an upload has.
    #[error("its Content-Disposition has a parameter other than name, filename and filename*; leave it out")]
    UnknownParameter,
    /// It names no field.
    #[error("its Content-Disposition names no field; write name=\"files\"")]
    NoField,
    /// It is another field.
    #[error("its field is not `files`; send every file in a field of that name, and no other field")]
    Field,
    /// The content is encoded.
    #[error(
        "its Content-Transfer-Encoding must be binary, 8bit or 7bit; send the file as it is, and leave this header out"
    )]
    Encoding,
}

impl Fault {
    /// Returns its code in the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Fault::MediaType => "media_type",
            Fault::ContentType => "content_type",
            Fault::NoBoundary => "no_boundary",
            Fault::RepeatedBoundary => "repeated_boundary",
            Fault::Boundary => "boundary",
            Fault::Opening => "opening",
            Fault::Empty => "empty",
            Fault::Head { .. } => "head",
            Fault::BoundaryInContent { .. } => "boundary_in_content",
            Fault::TooManyParts => "parts",
            Fault::Unfinished { .. } => "unfinished",
            Fault::Epilogue => "epilogue",
        }
    }
}
