//! The media types that operations take.

/// The media type that an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// JSON.
    Json,
    /// Files.
    Files,
}

impl Expected {
    pub(super) fn name(self) -> &'static str {
        match self {
            Expected::Json => "JSON in UTF-8",
            Expected::Files => "files in a form",
        }
    }

    /// Returns the media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Expected::Json => "application/json",
            Expected::Files => "multipart/form-data",
        }
    }
}
