//! The routes by which the log, metrics and spans tell requests apart.

use crate::asteroid::operation::{Effect, Operation};

/// The route of a request: an operation, or the gateway's description of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// An operation of the API.
    Operation(Operation),
    /// The gateway's description of itself.
    SelfDescription,
}

impl Route {
    /// How many routes there are.
    pub const COUNT: usize = Operation::ALL.len() + 1;

    /// Returns its number, less than [`Route::COUNT`].
    #[must_use]
    pub fn number(self) -> usize {
        match self {
            Route::Operation(operation) => operation as usize,
            Route::SelfDescription => Operation::ALL.len(),
        }
    }

    /// Returns the route with a number.
    #[must_use]
    pub fn with_number(number: usize) -> Option<Route> {
        let operation = Operation::ALL.get(number).copied().map(Route::Operation);
        operation.or((number == Route::SelfDescription.number()).then_some(Route::SelfDescription))
    }

    /// Returns its path, with the names of its ids.
    #[must_use]
    pub fn template(self) -> &'static str {
        match self {
            Route::Operation(operation) => operation.template(),
            Route::SelfDescription => "/.well-known/asteroid-gateway",
        }
    }

    /// Returns its name as an operation.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Route::Operation(operation) => operation.name(),
            Route::SelfDescription => "GatewaySelfGet",
        }
    }

    /// Returns its effect.
    #[must_use]
    pub fn effect(self) -> Effect {
        match self {
            Route::Operation(operation) => operation.rules().effect,
            Route::SelfDescription => Effect::Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_route_has_its_number_and_a_name_of_its_own() {
        let routes: Vec<Route> = (0..Route::COUNT).filter_map(Route::with_number).collect();
        assert!(routes.iter().map(|route| route.number()).eq(0..Route::COUNT));
        assert_eq!(routes.iter().map(|route| route.name()).collect::<BTreeSet<_>>().len(), Route::COUNT);
        assert_eq!(Route::with_number(Route::COUNT), None);
    }
}
