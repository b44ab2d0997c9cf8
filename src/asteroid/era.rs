//! The eras of the API, as far as a server of one does not take what a server of the other takes.

/// An era of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// That of the specification and of SDK 1.7.257: the header `X-Asteroid-Agents-Api-Key`, and one metadata filter in a listing.
    Old,
    /// That of SDK 1.9.167: the header `X-Api-Key`, and any number of metadata filters in a listing.
    New,
}
