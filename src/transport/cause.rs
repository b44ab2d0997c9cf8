//! Why a connection or an answer ended, in words for the log.

use std::error::Error;
use std::fmt;

/// A failure with the causes below it: a TLS alert, a code of HTTP/2, an error of the system.
///
/// It holds no text of the service's own. A `GOAWAY` may carry one, and the API key may be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause(String);

impl Cause {
    /// Creates a cause in the gateway's own words.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Cause {
        Cause(text.into())
    }

    /// Creates a cause from an error and its sources, each of which is named once.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Cause {
        let mut cause = Cause(describe(error));
        let mut below = error.source();
        while let Some(error) = below {
            cause.add(&describe(error));
            below = error.source();
        }
        cause
    }

    /// Returns it with another cause of the same failure.
    #[must_use]
    pub fn with(mut self, more: Option<&Cause>) -> Cause {
        if let Some(Cause(more)) = more {
            self.add(more);
        }
        self
    }

    fn add(&mut self, text: &str) {
        if !self.0.contains(text) {
            self.0.push_str(": ");
            self.0.push_str(text);
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Error for Cause {}

fn describe(error: &(dyn Error + 'static)) -> String {
    let Some(error) = error.downcast_ref::<h2::Error>() else { return without_link(&error.to_string()) };
    if let Some(error) = error.get_io() {
        return without_link(&error.to_string());
    }
    // Its own Display shows the text that came with a GOAWAY.
    let direction = if error.is_remote() { "received" } else { "sent" };
    match error.reason() {
        Some(reason) if error.is_go_away() => format!("{direction} GOAWAY with {reason:?}"),
        Some(reason) if error.is_reset() => format!("{direction} RST_STREAM with {reason:?}"),
        Some(reason) => format!("HTTP/2 failed with {reason:?}"),
        None => error.to_string(),
    }
}

/// Leaves out the address of further reading, with which rustls ends some texts.
fn without_link(text: &str) -> String {
    text.split(": https://").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_cause_names_each_error_below_it_once_and_the_number_of_the_systems() {
        #[derive(Debug, thiserror::Error)]
        #[error("the connection failed")]
        struct Outer(#[source] io::Error);
        let cause = Cause::of(&Outer(io::Error::from_raw_os_error(104)));
        assert_eq!(cause.to_string(), "the connection failed: Connection reset by peer (os error 104)");
        let more = Cause::new("Connection reset by peer (os error 104)");
        assert_eq!(cause.clone().with(Some(&more)), cause);
        assert_eq!(cause.with(Some(&Cause::new("x"))).to_string().matches(": x").count(), 1);
    }

    #[test]
    fn a_code_of_http2_is_named() {
        let error = h2::Error::from(h2::Reason::ENHANCE_YOUR_CALM);
        assert_eq!(Cause::of(&error).to_string(), "HTTP/2 failed with ENHANCE_YOUR_CALM");
    }
}
