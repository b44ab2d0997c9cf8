//! The part of the traces that is sampled.

/// A part of the whole, in units of 2^-56: 0 to 2^56.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio(u64);

impl Ratio {
    /// Every trace.
    pub const ALL: Ratio = Ratio(1 << 56);

    /// A ratio of 0 to 1.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a ratio of 0 to 1 is at most 2^56 of 2^56"
    )]
    pub fn new(ratio: f64) -> Option<Ratio> {
        // 2^56, which a float holds exactly.
        const WHOLE: f64 = 72_057_594_037_927_936.0;
        (0.0..=1.0).contains(&ratio).then_some(Ratio((ratio * WHOLE) as u64))
    }

    /// Whether a trace with these 56 random bits is one of them: those with the highest, as OpenTelemetry samples.
    #[must_use]
    pub fn takes(self, random: u64) -> bool {
        random >= Ratio::ALL.0 - self.0
    }
}
