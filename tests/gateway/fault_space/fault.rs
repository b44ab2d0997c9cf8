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
    /// Nothing more comes from the upstream until the time-out has passed; then the connection ends.
    Stalls,
    /// What is missing comes when the time-out has passed.
    Late,
    /// The upstream answers with this status.
    Answers(u16),
    /// The upstream answers with a 2xx that names no execution.
    Useless(Substitute),
    /// The upstream refuses the key, and the gateway has another one that it takes.
    RefusesKey,
    /// The process is told to end, and finishes what it does. The retry meets another.
    Drains,
    /// The process is killed. The retry meets another.
    Dies,
}

/// Those that have no variants.
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

/// Those with which it says nothing.
const OTHERS: [u16; 14] = [303, 307, 407, 408, 409, 412, 423, 424, 425, 460, 499, 500, 502, 503];

/// Answers of something in front of the upstream, or of an upstream that has forgotten what it promised.
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

/// It ends with its connection, which is too early.
const CUT: Substitute = Substitute {
    status: 202,
    fields: "Content-Type: application/json\r\n",
    body: r#"{"executionId":"8d0f7a52-1c5e"#,
    has_length: false,
};

impl Fault {
    /// What only HTTP/1.1 can do.
    pub(super) const CUT: Fault = Fault::Useless(CUT);

    /// Every fault.
    pub(super) fn all() -> impl Iterator<Item = Fault> {
        let answers = REFUSALS.into_iter().chain(OTHERS).map(Fault::Answers);
        PLAIN.into_iter().chain(answers).chain(USELESS.map(Fault::Useless))
    }

    /// Whether a time-out is to pass.
    pub(super) fn takes_time(self) -> bool {
        matches!(self, Fault::Refuses | Fault::Stalls | Fault::Late)
    }

    /// Whether the retry meets another process.
    pub(super) fn ends_the_process(self) -> bool {
        matches!(self, Fault::Drains | Fault::Dies)
    }
}

pub(super) fn proves_nothing_started(status: u16) -> bool {
    REFUSALS.contains(&status)
}
