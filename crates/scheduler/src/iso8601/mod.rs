//! Dates, times and durations as ISO 8601 writes them (the subset in the manual's chapter on rules).

mod duration;
mod parse;

use std::cmp::Ordering;

pub use duration::{Duration, Period};
pub use parse::DateError;

/// After these the calendar begins anew.
const DAYS_OF_400_YEARS: i64 = 146_097;
const DAY_S: i64 = 86_400;
/// Later years are no dates.
const YEAR_MAX: i64 = 1_000_000;
/// Seconds from 0001-01-01 to 1970-01-01.
const EPOCH_S: i64 = 62_135_596_800;
const MAX_YEAR: i64 = 9999;

/// A point in time, kept as the parts that rules ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    pub year: i64,
    /// Day of the year, from 1.
    pub day: i64,
    /// Second of the day.
    pub second: i64,
    /// Seconds east of UTC.
    pub offset_s: i64,
}

/// Where a time is shown in.
#[derive(Debug, Clone, Copy)]
pub enum Zone {
    /// So many seconds east of UTC, the year round.
    Fixed(i32),
    /// Seconds east of UTC at a moment, in seconds since 1970 UTC: summer and winter may differ. Asked only when a
    /// date matters, as the answer is in a file.
    Local(fn(i64) -> i32),
}

impl Default for Zone {
    /// UTC.
    fn default() -> Zone {
        Zone::Fixed(0)
    }
}

impl Zone {
    /// A moment, given in seconds since 1970 UTC, as this zone shows it.
    pub fn time(self, epoch_s: i64) -> Time {
        let offset_s = match self {
            Zone::Fixed(offset_s) => offset_s,
            Zone::Local(offset_s_at) => offset_s_at(epoch_s),
        };
        Time::from_epoch(epoch_s, i64::from(offset_s))
    }
}

/// A moment and the zone in which rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Seconds since 1970 UTC.
    pub epoch_s: i64,
    pub zone: Zone,
}

impl Moment {
    pub fn time(&self) -> Time {
        self.zone.time(self.epoch_s)
    }
}

pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn year_days(year: i64) -> i64 {
    365 + i64::from(is_leap(year))
}

fn month_days(month: i64, year: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Day of the week (Monday is 1) of the first of January.
fn jan1_weekday(year: i64) -> i64 {
    let yy = (year - 1).rem_euclid(100);
    let century = (year - 1) - yy;
    1 + ((((century / 100) % 4) * 5) + yy + yy / 4) % 7
}

fn weeks_in_year(year: i64) -> i64 {
    52 + i64::from(jan1_weekday(year) == 4 || jan1_weekday(year + 1) == 5)
}

fn days_before_year(year: i64) -> i64 {
    let y = year - 1;
    y * 365 + y / 4 - y / 100 + y / 400
}

impl Time {
    /// From seconds since 1970 UTC, shown in a zone `offset_s` seconds east of UTC.
    pub fn from_epoch(seconds: i64, offset_s: i64) -> Time {
        let total = seconds.saturating_add(EPOCH_S).saturating_add(offset_s).max(0);
        let (mut days, second) = (total / DAY_S, total % DAY_S);
        let mut year = 1 + days / DAYS_OF_400_YEARS * 400 + days % DAYS_OF_400_YEARS / 366;
        while days_before_year(year + 1) <= days {
            year += 1;
        }
        days -= days_before_year(year);
        Time { year, day: days + 1, second, offset_s }
    }

    /// Seconds since 1970 UTC.
    pub fn epoch(&self) -> i64 {
        (days_before_year(self.year) + self.day - 1) * DAY_S + self.second - self.offset_s - EPOCH_S
    }

    /// The same moment in UTC.
    pub fn utc(&self) -> Time {
        let mut time = Time { offset_s: 0, ..*self };
        time.add_seconds(-self.offset_s);
        time
    }

    pub fn compare(&self, other: &Time) -> Ordering {
        let (a, b) = (self.utc(), other.utc());
        (a.year, a.day, a.second).cmp(&(b.year, b.day, b.second))
    }

    /// Year, month and day of the month.
    pub fn calendar(&self) -> (i64, i64, i64) {
        let (mut month, mut day) = (1, self.day);
        while month < 12 && day > month_days(month, self.year) {
            day -= month_days(month, self.year);
            month += 1;
        }
        (self.year, month, day)
    }

    /// Hour, minute and second.
    pub fn clock(&self) -> (i64, i64, i64) {
        (self.second / 3600, self.second / 60 % 60, self.second % 60)
    }

    /// ISO week-year, week and weekday (Monday is 1).
    pub fn week(&self) -> (i64, i64, i64) {
        let jan1 = jan1_weekday(self.year);
        let weekday = 1 + (self.day + jan1 - 2).rem_euclid(7);
        if self.day <= 8 - jan1 && jan1 > 4 {
            return (self.year - 1, weeks_in_year(self.year - 1), weekday);
        }
        if year_days(self.year) - self.day < 4 - weekday {
            return (self.year + 1, 1, weekday);
        }
        let week = (self.day + (7 - weekday) + (jan1 - 1)) / 7 - i64::from(jan1 > 4);
        (self.year, week, weekday)
    }

    pub fn add_seconds(&mut self, seconds: i64) {
        let total = self.second + seconds % DAY_S;
        self.second = total.rem_euclid(DAY_S);
        self.add_days(seconds / DAY_S + total.div_euclid(DAY_S));
    }

    pub fn add_days(&mut self, days: i64) {
        let total = (days_before_year(self.year) + self.day - 1).saturating_add(days);
        let total = total.clamp(0, days_before_year(YEAR_MAX));
        let moved = Time::from_epoch(total * DAY_S - EPOCH_S, 0);
        (self.year, self.day) = (moved.year, moved.day);
    }

    pub fn add_months(&mut self, months: i64) {
        let (year, month, day) = self.calendar();
        let index = (year * 12 + month - 1).saturating_add(months).max(12);
        let (year, month) = (index / 12, index % 12 + 1);
        let day = day.min(month_days(month, year));
        self.year = year;
        self.day = (1..month).map(|m| month_days(m, year)).sum::<i64>() + day;
    }

    pub fn add_years(&mut self, years: i64) {
        self.year = self.year.saturating_add(years).clamp(1, i64::from(i32::MAX));
    }

    /// Years, months and days by the calendar, then seconds.
    pub fn plus(mut self, length: &Duration) -> Time {
        self.add_years(length.years);
        self.add_months(length.months);
        self.add_days(length.days);
        self.add_seconds(length.seconds);
        self
    }

    /// As [`Time::plus`], the other way.
    pub fn minus(self, length: &Duration) -> Time {
        let Duration { years, months, days, seconds } = *length;
        self.plus(&Duration { years: -years, months: -months, days: -days, seconds: -seconds })
    }

    /// `YYYY-MM-DD HH:MM:SSZ`, in UTC.
    pub fn utc_text(&self) -> String {
        self.utc().zoned_text()
    }

    /// `YYYY-MM-DD HH:MM:SS` in its own zone, followed by `Z` or the zone.
    pub fn zoned_text(&self) -> String {
        self.text(DateForm::Calendar)
    }

    /// In its own zone; [`Time::utc`] first for the usual form.
    pub fn text(&self, form: DateForm) -> String {
        let date = match form {
            DateForm::Calendar => {
                let (y, m, d) = self.calendar();
                format!("{y:04}-{m:02}-{d:02}")
            }
            DateForm::Ordinal => format!("{}-{:03}", self.year, self.day),
            DateForm::Week => {
                let (y, w, d) = self.week();
                format!("{y}-W{w:02}-{d}")
            }
        };
        let (h, min, s) = self.clock();
        let zone = match self.offset_s {
            0 => "Z".to_string(),
            o => format!(" {}{:02}:{:02}", if o < 0 { '-' } else { '+' }, o.abs() / 3600, o.abs() / 60 % 60),
        };
        format!("{date} {h:02}:{min:02}:{s:02}{zone}")
    }

    /// Seconds since the year 1.
    pub fn seconds(&self) -> i64 {
        self.epoch() + EPOCH_S
    }
}

/// How a day is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateForm {
    /// `2005-01-20`
    Calendar,
    /// `2005-020`
    Ordinal,
    /// `2005-W03-4`
    Week,
}

/// The last moment that the manual allows in a date.
pub fn end_of_time() -> Time {
    Time { year: MAX_YEAR, day: 365, second: DAY_S - 1, offset_s: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Time {
        Time::from_epoch(1_700_000_000, 0)
    }

    #[test]
    fn absurd_numbers_are_no_date() {
        for text in
            ["01:-8888888888888888888", "9223372036854775807-W01-1", "9999999-020", "24:-1:60", "25:00"]
        {
            assert!(Time::parse(text, now()).is_err(), "{text}");
        }
    }

    #[test]
    fn forms_of_a_date() {
        for text in ["2005-020", "2005-01-20", "20050120", "2005-W03-4"] {
            let time = Time::parse(text, now()).unwrap();
            assert_eq!(time.utc_text(), "2005-01-20 00:00:00Z", "{text}");
        }
        assert_eq!(Time::parse("2005-020T12:30", now()).unwrap().utc_text(), "2005-01-20 12:30:00Z");
        assert_eq!(Time::parse("2024-225 101943", now()).unwrap().utc_text(), "2024-08-12 10:19:43Z");
        assert_eq!(Time::parse("2014-05-07 00:28:00", now()).unwrap().utc_text(), "2014-05-07 00:28:00Z");
        assert_eq!(
            Time::parse("2019-01-01T10:00:00+02:00", now()).unwrap().utc_text(),
            "2019-01-01 08:00:00Z"
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "x", "2005-13-01", "2005-02-30", "2005", "2005-400", "2005-01-01T25:00"] {
            assert!(Time::parse(text, now()).is_err(), "{text}");
        }
    }

    #[test]
    fn weeks() {
        let week = |text: &str| Time::parse(text, now()).unwrap().week();
        assert_eq!(week("2005-01-01"), (2004, 53, 6));
        assert_eq!(week("2008-12-29"), (2009, 1, 1));
        assert_eq!(week("2024-02-29"), (2024, 9, 4));
    }

    proptest::proptest! {
        #[test]
        fn epoch_round_trip(seconds in -60_000_000_000i64..250_000_000_000) {
            proptest::prop_assert_eq!(Time::from_epoch(seconds, 3600).epoch(), seconds);
        }

        #[test]
        fn any_text(text in "\\PC{0,30}") {
            let _ = Time::parse(&text, now());
            let _ = Duration::parse(&text);
        }

        #[test]
        fn printed_times_are_read_back(seconds in 0i64..250_000_000_000) {
            let time = Time::from_epoch(seconds, 0);
            proptest::prop_assert_eq!(Time::parse(&time.utc_text(), now()), Ok(time));
        }
    }
}
