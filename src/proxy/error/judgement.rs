//! Why an answer with executions is not passed on.

use crate::asteroid::item::Unreadable;

/// The reason why an answer is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is another execution than the one that was asked for.
    #[error("the answer is another execution than the one that was asked for")]
    OtherExecution,
    /// It has a content coding, although none was asked for.
    #[error("the answer has a content coding, and none was asked for")]
    Coded,
    /// Nothing judges it: a fault of the gateway.
    #[error("the gateway has nothing to judge the answer with")]
    NotJudged,
}
