//! Budgets: the starts of one tenant by UTC calendar day.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many days are remembered: the present one, and some others in case a wrong clock is set back.
const MAX_DAYS: usize = 4;

/// A UTC calendar day, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(u64);

impl Day {
    /// Returns the day of a time.
    #[must_use]
    pub fn of(time: SystemTime) -> Day {
        Day(since_1970(time).as_secs() / DAY.as_secs())
    }

    /// Returns the time until the end of the day, rounded up to seconds.
    #[must_use]
    pub fn left(time: SystemTime) -> Duration {
        Duration::from_secs(DAY.as_secs() - since_1970(time).as_secs() % DAY.as_secs())
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The starts of one tenant by day, counted with or without a limit.
///
/// The wall clock says which day it is, and may be wrong:
///
/// - A day that is remembered continues its own count, so that a clock that was once ahead locks nothing.
/// - A day later than the last one begins a new count.
/// - An earlier day that is not remembered shares the count of the last one. The clock is wrong now or was wrong then, and
///   neither refills the budget.
#[derive(Debug, Default)]
pub struct Budget(Mutex<Vec<(Day, DaySpend)>>);

/// The number of starts that were spent of one day's budget.
#[derive(Debug, Clone, Default)]
struct DaySpend(Arc<AtomicU32>);

/// One start that was taken from a day's budget. Dropped, it is given back.
#[derive(Debug, Default)]
pub struct BudgetCharge(Option<DaySpend>);

/// One start that was taken from a day's budget. Dropped, it stays spent.
#[derive(Debug)]
pub struct SpentBudget(Option<DaySpend>);

/// The reason why no start can be taken: the day's budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverBudget;

impl Budget {
    /// Takes one start from a day's budget. Returns the charge, and how many starts are left of the limit.
    ///
    /// # Errors
    ///
    /// [`OverBudget`]; nothing was counted.
    pub fn take(&self, limit: Option<NonZeroU32>, now: SystemTime) -> Result<(BudgetCharge, u32), OverBudget> {
        let spent = self.of(Day::of(now));
        let limit = limit.map_or(u32::MAX, NonZeroU32::get);
        let spend = |count: u32| (count < limit).then(|| count + 1);
        let before = spent.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).map_err(|_| OverBudget)?;
        Ok((BudgetCharge(Some(spent)), limit - before - 1))
    }

    /// Returns how many starts are left of a day's limit.
    #[must_use]
    pub fn left(&self, limit: NonZeroU32, now: SystemTime) -> u32 {
        limit.get().saturating_sub(self.of(Day::of(now)).0.load(Ordering::Relaxed))
    }

    /// Returns the count of a day, and makes it the present one.
    fn of(&self, day: Day) -> DaySpend {
        // The present day is the first. The others follow, the most recent first.
        let mut days = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = days.iter().position(|(known, _)| *known == day) {
            days.get_mut(..=known).unwrap_or_default().rotate_right(1);
        } else {
            let last = days.first().filter(|(last, _)| day < *last);
            let spent = last.map(|(_, spent)| spent.clone()).unwrap_or_default();
            days.insert(0, (day, spent));
            days.truncate(MAX_DAYS);
        }
        days.first().map(|(_, spent)| spent.clone()).unwrap_or_default()
    }
}

impl BudgetCharge {
    /// Keeps the start spent from now on.
    #[must_use]
    pub fn spend(mut self) -> SpentBudget {
        SpentBudget(self.0.take())
    }
}

impl Drop for BudgetCharge {
    fn drop(&mut self) {
        self.0.iter().for_each(DaySpend::give_back);
    }
}

impl SpentBudget {
    /// Gives the start back to the day that it was taken from.
    pub fn give_back(self) {
        self.0.iter().for_each(DaySpend::give_back);
    }
}

impl DaySpend {
    fn give_back(&self) {
        let back = |count: u32| count.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u64, second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY.as_secs() + second)
    }

    /// Takes one of two, and returns how many are left.
    fn take(budget: &Budget, now: SystemTime) -> Result<u32, OverBudget> {
        take_of(budget, 2, now)
    }

    fn take_of(budget: &Budget, limit: u32, now: SystemTime) -> Result<u32, OverBudget> {
        let (charge, left) = budget.take(NonZeroU32::new(limit), now)?;
        drop(charge.spend());
        Ok(left)
    }

    #[test]
    fn a_budget_is_spent_until_midnight_and_whole_after_it() {
        let budget = Budget::default();
        let last = DAY.as_secs() - 1;
        assert_eq!(take(&budget, at(20_000, 0)), Ok(1));
        assert_eq!(take(&budget, at(20_000, last)), Ok(0));
        assert_eq!(take(&budget, at(20_000, last)), Err(OverBudget));
        assert_eq!(take(&budget, at(20_001, 0)), Ok(1));
        assert_eq!(Day::left(at(20_000, last)), Duration::from_secs(1));
        assert_eq!(Day::left(at(20_000, 0)), DAY);
    }

    #[test]
    fn a_start_that_is_given_back_can_be_spent_again_unless_its_day_is_over() {
        let budget = Budget::default();
        let charge = || budget.take(NonZeroU32::new(2), at(7, 0)).unwrap().0;
        let (dropped, spent) = (charge(), charge().spend());
        drop(dropped);
        assert_eq!(take(&budget, at(7, 1)), Ok(0));
        assert_eq!(take(&budget, at(8, 0)), Ok(1));
        spent.give_back();
        assert_eq!(take(&budget, at(8, 0)), Ok(0), "yesterday's start gives nothing to today");
    }

    #[test]
    fn a_clock_that_goes_back_refills_nothing() {
        let budget = Budget::default();
        take(&budget, at(9, 0)).unwrap();
        take(&budget, at(8, 0)).unwrap();
        for day in [8, 9, 8, 9, 7, 9] {
            assert_eq!(take(&budget, at(day, 0)), Err(OverBudget), "day {day}");
        }
        assert_eq!(take(&budget, at(10, 0)), Ok(1));
    }

    #[test]
    fn a_clock_that_was_ahead_locks_nothing_once_it_is_right_again() {
        let budget = Budget::default();
        assert_eq!(take(&budget, at(9, 0)), Ok(1));
        assert_eq!([take(&budget, at(409, 0)), take(&budget, at(409, 0))], [Ok(1), Ok(0)]);
        assert_eq!(take(&budget, at(9, 1)), Ok(0), "the day goes on with its own count");
        assert_eq!(take(&budget, at(9, 1)), Err(OverBudget));
        for day in 10..500 {
            let whole = [take(&budget, at(day, 0)), take(&budget, at(day, 0))];
            assert_eq!(whole, [Ok(1), Ok(0)], "day {day}");
        }
    }

    #[test]
    fn a_clock_that_was_ahead_when_the_process_began_locks_the_day_of_its_correction_at_most() {
        let budget = Budget::default();
        assert_eq!(take(&budget, at(409, 0)), Ok(1));
        assert_eq!(take(&budget, at(9, 0)), Ok(0), "what was started then was started on this day");
        assert_eq!(take(&budget, at(9, 0)), Err(OverBudget));
        assert_eq!(take(&budget, at(10, 0)), Ok(1));
    }

    #[test]
    fn a_clock_that_jumps_to_and_fro_has_each_day_once() {
        let budget = Budget::default();
        let all: usize = (0..100)
            .flat_map(|n| [at(9, n), at(40, n), at(9_000_000, n)])
            .filter(|now| take(&budget, *now).is_ok())
            .count();
        assert_eq!(all, 3 * 2);
        assert_eq!(budget.0.lock().unwrap().len(), 3);
        assert!((0..100).all(|day| take(&budget, at(10_000_000 + day, 0)).is_ok()));
        assert_eq!(budget.0.lock().unwrap().len(), MAX_DAYS, "and the days that are known are few");
    }

    #[test]
    fn a_lower_limit_counts_the_starts_under_the_higher_one_or_under_none() {
        let budget = Budget::default();
        take(&budget, at(9, 0)).unwrap();
        assert_eq!(take_of(&budget, 1, at(9, 0)), Err(OverBudget));
        assert_eq!(take_of(&budget, 3, at(9, 0)), Ok(1));
        drop(budget.take(None, at(9, 0)).unwrap().0.spend());
        assert_eq!(take_of(&budget, 3, at(9, 0)), Err(OverBudget));
        assert_eq!(take_of(&budget, 4, at(9, 0)), Ok(0));
    }

    #[test]
    fn threads_at_once_spend_no_more_than_the_limit() {
        let budget = Budget::default();
        let spent = std::thread::scope(|scope| {
            let take = || (0..1000).filter(|_| take_of(&budget, 1500, at(9, 0)).is_ok()).count();
            let threads = [scope.spawn(take), scope.spawn(take)];
            threads.map(|thread| thread.join().unwrap()).iter().sum::<usize>()
        });
        assert_eq!(spent, 1500);
    }
}
