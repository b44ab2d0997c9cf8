//! Values with a unit: `5s`, `1MiB`, `30/m`.

use std::num::NonZeroU32;
use std::time::Duration;

use bytesize::ByteSize;

use crate::state::Per;

use super::pasted;

/// The largest number of a rate.
const MAX_RATE: u32 = 1_000_000;

/// Parses a duration within `min..=max`. Units are humantime's: `250ms`, `5s`, `1m 30s`, `1h`.
pub(super) fn duration(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let text = text.trim();
    // humantime accepts a bare 0, which would hide that a unit is required.
    if is_bare(text) {
        return Err(format!("has no unit; write {text}s for seconds or {text}ms for milliseconds"));
    }
    let value = humantime::parse_duration(text)
        .map_err(|_| "is not a duration; write a number and its unit, such as 250ms, 5s or 1m".to_owned())?;
    if value < min || value > max {
        let (min, max) = (humantime::format_duration(min), humantime::format_duration(max));
        return Err(format!("must be from {min} to {max}"));
    }
    Ok(value)
}

/// Parses a size within `min..=max` bytes. Units are 1024-based (`KiB`, `MiB`) or 1000-based (`kB`, `MB`).
pub(super) fn size(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let text = text.trim();
    if is_bare(text) {
        return Err(format!("has no unit; write {text}B for bytes, or a size such as 512KiB or 1MiB"));
    }
    let ByteSize(value) =
        text.parse().map_err(|_| "is not a size; write a number and its unit, such as 512KiB or 1MiB".to_owned())?;
    if value < min || value > max {
        return Err(format!("must be from {} to {}", format_size(min), format_size(max)));
    }
    Ok(value)
}

/// Formats a bound as an operator would write it. The crate's own `Display` computes logarithms. They load a library that takes
/// more memory than the rest of an idle gateway.
fn format_size(bytes: u64) -> String {
    match (bytes % (1 << 20), bytes % (1 << 10)) {
        (0, _) => format!("{}MiB", bytes >> 20),
        (_, 0) => format!("{}KiB", bytes >> 10),
        _ => format!("{bytes}B"),
    }
}

/// Parses a rate: 1 to 1,000,000 per second (`s`), minute (`m`), hour (`h`) or day (`d`).
pub(super) fn rate(text: &str) -> Result<(NonZeroU32, Per), String> {
    let shape = || "must be a rate: 30/s, 30/m, 30/h or 30/d".to_owned();
    let (amount, per) = text.split_once('/').ok_or_else(shape)?;
    let per = match per.trim() {
        "s" => Per::Second,
        "m" => Per::Minute,
        "h" => Per::Hour,
        "d" => Per::Day,
        _ => return Err(shape()),
    };
    let amount = amount.trim().parse::<NonZeroU32>().ok().filter(|amount| amount.get() <= MAX_RATE);
    Ok((amount.ok_or_else(|| format!("must be from 1 to {MAX_RATE} per unit of time"))?, per))
}

/// Returns whether a text is a number without a unit, which a message may show. A long number may be an API key that was
/// pasted.
fn is_bare(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && !pasted::may_be_api_key(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn times_are_read_with_their_unit() {
        let cases = [("250ms", 250), ("5s", 5000), ("1m 30s", 90_000), ("1h", 3_600_000), (" 5s ", 5000)];
        for (text, millis) in cases {
            assert_eq!(duration(text, MILLI, HOUR), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_told_which_unit_to_write() {
        assert!(duration("60", MILLI, HOUR).is_err_and(|message| message.contains("60s")));
        assert!(duration("0", Duration::ZERO, HOUR).is_err_and(|message| message.contains("0s")));
        assert!(size("1048576", 1, 1 << 26).is_err_and(|message| message.contains("1048576B")));
    }

    #[test]
    fn a_number_that_may_be_an_api_key_is_not_shown() {
        let key = "4711081547110815";
        assert!(duration(key, MILLI, HOUR).is_err_and(|message| !message.contains(key)));
        assert!(size(key, 1, 1 << 26).is_err_and(|message| !message.contains(key)));
    }

    #[test]
    fn values_outside_the_bounds_are_refused_with_the_bounds() {
        for text in ["0s", "61m", "2h"] {
            assert_eq!(duration(text, MILLI, HOUR), Err("must be from 1ms to 1h".to_owned()), "{text}");
        }
        for text in ["1B", "65MiB", "1EiB", "99999999999999EiB"] {
            assert_eq!(size(text, 1024, 1 << 26), Err("must be from 1KiB to 64MiB".to_owned()), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_quantity_is_refused() {
        for text in ["", "soon", "-5s", "5 parsecs", "s", "1.5", "NaNs"] {
            assert!(duration(text, MILLI, HOUR).is_err(), "{text}");
            assert!(size(text, 1, 1 << 26).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_read_with_their_span() {
        let read = |text| rate(text).map(|(amount, per)| (amount.get(), per)).ok();
        assert_eq!(read("30/m"), Some((30, Per::Minute)));
        assert_eq!(read(" 1 / d "), Some((1, Per::Day)));
        assert_eq!(read("1000000/s"), Some((1_000_000, Per::Second)));
        assert_eq!(read("5/h"), Some((5, Per::Hour)));
        for text in ["", "30", "/m", "0/s", "-1/s", "1.5/s", "1000001/s", "30/min", "30/m/s"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, bytes) in [("1MiB", 1 << 20), ("1 MiB", 1 << 20), ("1MB", 1_000_000), ("2048B", 2048)] {
            assert_eq!(size(text, 1024, 1 << 26), Ok(bytes), "{text}");
        }
    }
}
