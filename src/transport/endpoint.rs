//! The address of a service, and how it is spoken to.

/// Cleartext or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Cleartext, which the configuration allows to loopback alone.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// Returns the scheme as a URL names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// The part of a URL that says where to connect, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Cleartext or TLS.
    pub scheme: Scheme,
    /// A DNS name in lower case, or an IP address without brackets.
    pub host: String,
    /// The port, written or the scheme's default.
    pub port: u16,
    /// The `Host` header: brackets around IPv6, the port only if it is not the scheme's default.
    pub authority: String,
}
