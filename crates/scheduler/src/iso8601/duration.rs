//! Lengths of time and periods.

use std::fmt;

use super::parse::{DateError, is_space};
use super::{DAY_S, MAX_YEAR, Time, days_before_year};
use crate::text::leading_int;

/// A length of time as ISO 8601 writes it (`P1Y2M3DT4H`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Duration {
    pub years: i64,
    pub months: i64,
    pub days: i64,
    pub seconds: i64,
}

const KIND: &str = "time duration";

fn because(text: &str, reason: String) -> DateError {
    DateError::Because { text: text.into(), kind: KIND, reason }
}

/// A whole number with a sign and at most ten digits, and what follows it.
fn integer(text: &str) -> Option<(i32, &str)> {
    let unsigned = text.strip_prefix(['-', '+', ':']).unwrap_or(text);
    let digits = unsigned.bytes().take(10).take_while(u8::is_ascii_digit).count();
    let (value, _) = unsigned.get(..digits).and_then(leading_int)?;
    let value = i32::try_from(value).ok()?;
    Some((if text.starts_with('-') { -value } else { value }, unsigned.get(digits..)?))
}

impl Duration {
    /// Parses a duration; what follows a blank or `/` is left alone.
    ///
    /// # Errors
    /// The text is no duration; what is wrong with it.
    pub fn parse(text: &str) -> Result<Duration, DateError> {
        if text.is_empty() {
            return Err(DateError::Empty(KIND));
        }
        let Some(mut rest) = text.strip_prefix('P') else {
            return Err(because(text, "it does not start with a 'P'".into()));
        };
        if rest.bytes().next().is_none_or(is_space) {
            return Err(because(text, "nothing follows 'P'".into()));
        }
        let (mut out, mut in_time) = (Duration::default(), false);
        while let Some(c) = rest.bytes().next().filter(|c| *c != b'/' && !is_space(*c)) {
            if c == b'T' {
                in_time = true;
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let Some((value, after)) = integer(rest) else {
                return Err(DateError::Because {
                    text: text.into(),
                    kind: "duration",
                    reason: format!("no valid integer at '{rest}'"),
                });
            };
            let Some(unit) = after.chars().next() else {
                return Err(because(text, format!("no units after {value}")));
            };
            out.add(i64::from(value), unit, in_time).map_err(|fault| match fault {
                Fault::Unit => DateError::Because {
                    text: text.into(),
                    kind: "duration",
                    reason: format!("'{unit}' is not a valid time unit"),
                },
                Fault::Range(size) => because(text, format!("integer at '{rest}' is too {size}")),
            })?;
            rest = after.get(unit.len_utf8()..).unwrap_or_default();
        }
        if out == Duration::default() {
            return Err(because(text, "no amounts and units given".into()));
        }
        Ok(out)
    }

    fn add(&mut self, value: i64, unit: char, in_time: bool) -> Result<(), Fault> {
        let (part, factor) = match (unit, in_time) {
            ('Y', _) => {
                self.years = value;
                return Ok(());
            }
            ('M', false) => {
                self.months = value;
                return Ok(());
            }
            ('W', _) => (&mut self.days, 7),
            ('D', _) => (&mut self.days, 1),
            ('H', _) => (&mut self.seconds, 3600),
            ('M', true) => (&mut self.seconds, 60),
            ('S', _) => (&mut self.seconds, 1),
            _ => return Err(Fault::Unit),
        };
        let sum = *part + value * factor;
        if i32::try_from(sum).is_err() {
            return Err(Fault::Range(if sum > 0 { "large" } else { "small" }));
        }
        *part = sum;
        Ok(())
    }

    /// As the reference counts intervals (crm_time_get_seconds): months have 30 days, and the first year and
    /// the first day add nothing, as if the duration were a date.
    pub fn seconds_total(&self) -> i64 {
        let years = days_before_year(self.years.max(1));
        let days = years + self.months.max(0) * 30 + (self.days - 1).max(0);
        days.saturating_mul(DAY_S).saturating_add(self.seconds)
    }
}

/// Why a number and its unit are not taken.
enum Fault {
    Unit,
    Range(&'static str),
}

/// `s` after anything but one.
fn plural(number: i64) -> &'static str {
    if number == 1 { "" } else { "s" }
}

impl fmt::Display for Duration {
    /// As the reference's tools show it, blanks at the end included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.years != 0 {
            write!(f, "{:4} year{} ", self.years, plural(self.years))?;
        }
        for (number, unit) in [(self.months, "month"), (self.days, "day")] {
            if number != 0 {
                write!(f, "{number:2} {unit}{} ", plural(number))?;
            }
        }
        let empty = self.years == 0 && self.months == 0 && self.days == 0;
        if empty || self.seconds != 0 {
            write!(f, "{} second{}", self.seconds, plural(self.seconds))?;
        }
        let total = self.seconds.abs();
        if total < 60 {
            return Ok(());
        }
        let parts = [(total / 3600, "hour"), (total / 60 % 60, "minute"), (total % 60, "second")];
        let shown = parts.into_iter().filter(|(number, _)| *number != 0);
        let words: Vec<String> = shown
            .map(|(number, unit)| {
                // The reference asks the whole duration whether its seconds are many.
                let many = if unit == "second" { self.seconds } else { number };
                format!("{number} {unit}{}", plural(many))
            })
            .collect();
        write!(f, " ({})", words.join(" "))
    }
}

/// From a moment to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub start: Time,
    pub end: Time,
}

impl Period {
    /// Parses `start/end`, `start/duration`, `duration/end`, or a duration that begins now.
    ///
    /// # Errors
    /// The text is no period; which part of it is wrong.
    pub fn parse(text: &str, now: Time) -> Result<Period, DateError> {
        const KIND: &str = "time period";
        if text.is_empty() {
            return Err(DateError::Empty(KIND));
        }
        let bad = |text: &str, reason: &str| DateError::Because {
            text: text.into(),
            kind: KIND,
            reason: reason.into(),
        };
        let second = text.split_once('/').map(|(_, second)| second);
        let (mut start, mut end, mut length) = (None, None, None);
        if text.starts_with('P') {
            length = Some(Duration::parse(text)?);
        } else {
            start = Some(Time::parse(text, now)?);
        }
        match second {
            Some(second) if second.starts_with('P') => {
                if length.is_some() {
                    return Err(bad(text, "it has two durations"));
                }
                length = Some(Duration::parse(second)?);
            }
            Some(second) => end = Some(Time::parse(second, now)?),
            None if length.is_some() => start = Some(now),
            None => return Err(bad(text, "it has no duration or ending time")),
        }
        let length = length.unwrap_or_default();
        let period = match (start, end) {
            (Some(start), Some(end)) => Period { start, end },
            (Some(start), None) => Period { start, end: start.plus(&length) },
            (None, Some(end)) => Period { start: end.minus(&length), end },
            (None, None) => return Err(bad(text, "it has no duration or ending time")),
        };
        for (time, which) in [(period.start, "start"), (period.end, "end")] {
            if !(1..=MAX_YEAR).contains(&time.year) {
                let limits = "must be between 0001-01-01T00:00:00 and 9999-12-31T23:59:59";
                return Err(bad(second.unwrap_or(text), &format!("the {which} is invalid ({limits})")));
            }
        }
        Ok(period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_words() {
        let text = |text: &str| Duration::parse(text).unwrap().to_string();
        assert_eq!(text("P2Y5MT6M"), "   2 years  5 months 360 seconds (6 minutes)");
        assert_eq!(text("P-1H"), "-3600 seconds (1 hour)");
        assert_eq!(text("P1M"), " 1 month ");
        assert_eq!(text("PT3661S"), "3661 seconds (1 hour 1 minute 1 seconds)");
    }

    #[test]
    fn wrong_durations_say_why() {
        let why = |text: &str| Duration::parse(text).unwrap_err().to_string();
        assert!(why("P").ends_with("because nothing follows 'P'"), "{}", why("P"));
        assert!(why("P0D").ends_with("because no amounts and units given"));
        assert!(why("P1").ends_with("because no units after 1"));
        assert!(why("PT99999999H").ends_with("integer at '99999999H' is too large"));
        assert!(why("P1.5D").ends_with("'.' is not a valid time unit"));
    }

    #[test]
    fn periods_from_either_side() {
        let now = Time::from_epoch(0, 0);
        let period = Period::parse("P1D/2024-03-01", now).unwrap();
        assert_eq!(period.start.utc_text(), "2024-02-29 00:00:00Z");
        assert_eq!(Period::parse("PT1H", now).unwrap().end.utc_text(), "1970-01-01 01:00:00Z");
    }
}
