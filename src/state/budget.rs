//! What was spent of a day's budget.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A UTC calendar day, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(u32);

impl Day {
    /// The day of a time.
    #[must_use]
    pub fn of(time: SystemTime) -> Day {
        let days = since_1970(time).as_secs() / DAY.as_secs();
        Day(u32::try_from(days).unwrap_or(u32::MAX))
    }

    /// How long the day of a time still lasts, rounded up to a second.
    #[must_use]
    pub fn left(time: SystemTime) -> Duration {
        Duration::from_secs(DAY.as_secs() - since_1970(time).as_secs() % DAY.as_secs())
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The starts of one tenant in the present day: the day above, the number below, so that both change at once.
#[derive(Debug, Default)]
pub struct Budget(AtomicU64);

/// The day's budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent;

impl Budget {
    /// Spends one start of a day's `limit`; the day it was taken from, and how many are left of it.
    ///
    /// A clock that goes back opens no day again: the later day goes on.
    ///
    /// # Errors
    ///
    /// [`Spent`]; nothing was counted.
    pub fn take(&self, limit: NonZeroU32, now: SystemTime) -> Result<(Day, u32), Spent> {
        let present = |state: u64| {
            let (day, spent) = parts(state);
            let today = Day::of(now);
            if today > day { (today, 0) } else { (day, spent) }
        };
        let spend = |state| {
            let (day, spent) = present(state);
            (spent < limit.get()).then(|| joined(day, spent + 1))
        };
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).map_err(|_| Spent)?;
        let (day, spent) = present(before);
        Ok((day, limit.get() - spent - 1))
    }

    /// Gives back one start that was taken on that day; where the day is over, it is over.
    pub fn give_back(&self, taken: Day) {
        let back = |state| {
            let (day, spent) = parts(state);
            (day == taken).then(|| joined(day, spent.saturating_sub(1)))
        };
        // Refused where the day has changed meanwhile: there is nothing to give back to.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back).ok();
    }
}

fn parts(state: u64) -> (Day, u32) {
    let [a, b, c, d, e, f, g, h] = state.to_be_bytes();
    (Day(u32::from_be_bytes([a, b, c, d])), u32::from_be_bytes([e, f, g, h]))
}

fn joined(day: Day, spent: u32) -> u64 {
    u64::from(day.0) << 32 | u64::from(spent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u64, second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * u32::try_from(day).unwrap() + Duration::from_secs(second)
    }

    fn two() -> NonZeroU32 {
        NonZeroU32::new(2).unwrap()
    }

    #[test]
    fn a_budget_is_spent_until_midnight_and_whole_after_it() {
        let budget = Budget::default();
        let last = DAY.as_secs() - 1;
        assert_eq!(budget.take(two(), at(20_000, 0)), Ok((Day(20_000), 1)));
        assert_eq!(budget.take(two(), at(20_000, last)), Ok((Day(20_000), 0)));
        assert_eq!(budget.take(two(), at(20_000, last)), Err(Spent));
        assert_eq!(budget.take(two(), at(20_001, 0)), Ok((Day(20_001), 1)));
        assert_eq!(Day::left(at(20_000, last)), Duration::from_secs(1));
        assert_eq!(Day::left(at(20_000, 0)), DAY);
    }

    #[test]
    fn what_is_given_back_can_be_spent_again_unless_its_day_is_over() {
        let budget = Budget::default();
        let (day, _) = budget.take(two(), at(7, 0)).unwrap();
        budget.take(two(), at(7, 0)).unwrap();
        budget.give_back(day);
        assert_eq!(budget.take(two(), at(7, 1)), Ok((Day(7), 0)));
        assert_eq!(budget.take(two(), at(8, 0)), Ok((Day(8), 1)));
        budget.give_back(day);
        assert_eq!(budget.take(two(), at(8, 0)), Ok((Day(8), 0)), "yesterday's start gives nothing to today");
    }

    #[test]
    fn a_clock_that_goes_back_refills_nothing() {
        let budget = Budget::default();
        budget.take(two(), at(9, 0)).unwrap();
        budget.take(two(), at(8, 0)).unwrap();
        assert_eq!(budget.take(two(), at(8, 0)), Err(Spent));
        assert_eq!(budget.take(two(), at(9, 0)), Err(Spent));
    }

    #[test]
    fn a_lower_limit_counts_what_was_spent_under_the_higher_one() {
        let budget = Budget::default();
        budget.take(two(), at(9, 0)).unwrap();
        assert_eq!(budget.take(NonZeroU32::new(1).unwrap(), at(9, 0)), Err(Spent));
        assert_eq!(budget.take(NonZeroU32::new(3).unwrap(), at(9, 0)), Ok((Day(9), 1)));
    }
}
