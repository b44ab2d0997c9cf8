//! The faults of the fault space.

use crate::harness::gate::Substitute;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    CallerLeaves,
    /// The upstream refuses the connection.
    Refuses,
    /// The upstream closes the connection.
    Closes,
    /// The upstream resets the connection, or its stream.
    Resets,
    /// The upstream sends nothing more until the time-out has passed; then the connection ends.
    Stalls,
    /// The upstream sends the rest after the time-out has passed.
    Late,
    /// The upstream answers with this status.
    Answers(u16),
    /// The upstream answers with a 2xx that names no execution.
    Useless(Substitute),
    /// The upstream refuses the API key, and the gateway has another one that the upstream accepts.
    RefusesKey,
    /// The process gets SIGTERM, and finishes its requests. Another process receives the retry.
    Drains,
    /// The process is killed. Another process receives the retry.
    Dies,
}

/// The faults without parameters.
const PLAIN: [Fault; 9] = [
    Fault::CallerLeaves,
    Fault::Refuses,
    Fault::Closes,
    Fault::Resets,
    Fault::Stalls,
    Fault::Late,
    Fault::RefusesKey,
    Fault::Drains,
    Fault::Dies,
];

/// The statuses with which an upstream says that it has started nothing.
const REFUSALS: [u16; 20] =
    [400, 401, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 417, 421, 422, 426, 428, 429, 431, 451];

/// The statuses that prove nothing.
const OTHERS: [u16; 14] = [303, 307, 407, 408, 409, 412, 423, 424, 425, 460, 499, 500, 502, 503];

/// Answers of an intermediary in front of the upstream, or of an upstream that breaks its specification.
const USELESS: [Substitute; 6] = [
    Substitute { status: 202, fields: "", body: "", has_length: true },
    Substitute { status: 204, fields: "", body: "", has_length: false },
    Substitute { status: 202, fields: "Content-Type: application/json\r\n", body: "{}", has_length: true },
    Substitute { status: 200, fields: "Content-Type: text/html\r\n", body: "<html>Welcome</html>", has_length: true },
    Substitute {
        status: 202,
        fields: "Content-Type: application/json\r\nContent-Encoding: br\r\n",
        body: r#"{"executionId":"8d0f7a52-1c5e-4b8e-9f59-000000000001"}"#,
        has_length: true,
    },
    CUT,
];

/// An answer that ends with its connection, which is too early.
const CUT: Substitute = Substitute {
    status: 202,
    fields: "Content-Type: application/json\r\n",
    body: r#"{"executionId":"8d0f7a52-1c5e"#,
    has_length: false,
};

impl Fault {
    /// A fault that only HTTP/1.1 allows.
    pub(super) const CUT: Fault = Fault::Useless(CUT);

    /// Returns every fault.
    pub(super) fn all() -> impl Iterator<Item = Fault> {
        let answers = REFUSALS.into_iter().chain(OTHERS).map(Fault::Answers);
        PLAIN.into_iter().chain(answers).chain(USELESS.map(Fault::Useless))
    }

    /// Returns whether it stands for others that differ from it only in a status or a body.
    pub(super) fn stands_for_others(self) -> bool {
        match self {
            Fault::Answers(status) => matches!(status, 401 | 409 | 429 | 503),
            Fault::Useless(answer) => answer == USELESS[2] || answer == CUT,
            _ => true,
        }
    }

    /// Returns whether it needs a time-out to pass.
    pub(super) fn takes_time(self) -> bool {
        matches!(self, Fault::Refuses | Fault::Stalls | Fault::Late)
    }

    /// Returns whether another process receives the retry.
    pub(super) fn ends_the_process(self) -> bool {
        matches!(self, Fault::Drains | Fault::Dies)
    }
}

pub(super) fn proves_nothing_started(status: u16) -> bool {
    REFUSALS.contains(&status)
}
