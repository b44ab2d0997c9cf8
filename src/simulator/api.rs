//! The eras of the API.

use clap::ValueEnum;

/// The era of the API that the simulated Asteroid serves.
///
/// Every operation is served in both, except for the paths that only the newer era has beside an older form: synchronous
/// starts, starts of a workflow's version, and uploads whose organisation is in the query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Api {
    /// Answers that the clients of either era read, and the filters of both
    #[default]
    Both,
    /// The specification's era, until August 2026
    Old,
    /// The era of workflows, since October 2026
    New,
}

impl Api {
    /// Returns whether clients of the older era are served, for which a workflow's id names a version.
    pub(super) fn names_versions(self) -> bool {
        self == Api::Old
    }

    /// Returns whether what came with the newer era is served.
    pub(super) fn has_workflows(self) -> bool {
        self != Api::Old
    }
}
