//! Reading dates and times as the reference does: number by number, in the manner of `scanf`.

use super::{DAY_S, Time, YEAR_MAX, jan1_weekday, month_days, weeks_in_year, year_days};

/// Why a text is no date, time, duration or period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    #[error("No ISO 8601 {0} given")]
    Empty(&'static str),
    #[error("'{0}' is not a valid ISO 8601 {1}")]
    Unknown(String, &'static str),
    #[error("'{text}' is not a valid ISO 8601 {kind} because {reason}")]
    Because { text: String, kind: &'static str, reason: String },
    /// The reference puts no marks around a time of the day.
    #[error("{text} is not a valid ISO 8601 time specification because {number} is not a valid {part}")]
    Clock { text: String, number: u32, part: &'static str },
}

const DATE: &str = "date/time specification";

fn bad_date(text: &str, reason: String) -> DateError {
    DateError::Because { text: text.into(), kind: DATE, reason }
}

/// A place in a text from which numbers are read.
struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    /// `%u`, or `%NNu` with a width: blanks before it are skipped, a sign is taken and, as in C, a negative number
    /// wraps and one that is too large becomes the largest.
    fn number(&mut self, width: usize) -> Option<u32> {
        let from = self.0.iter().position(|c| !is_space(*c))?;
        let text = self.0.get(from..)?;
        let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
        let all = text.get(sign..)?.iter().take_while(|c| c.is_ascii_digit());
        let digits = all.count().min(width.saturating_sub(sign));
        if digits == 0 {
            return None;
        }
        let value = text
            .get(sign..sign + digits)?
            .iter()
            .try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        let negative = sign == 1 && text.first() == Some(&b'-');
        self.0 = text.get(sign + digits..)?;
        let value = value.map_or(u64::MAX, |v| if negative { v.wrapping_neg() } else { v });
        Some(value as u32)
    }

    fn literal(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text.as_bytes())?;
        Some(())
    }
}

/// C's `isspace`, which knows one more than `is_ascii_whitespace`.
pub(super) fn is_space(c: u8) -> bool {
    c.is_ascii_whitespace() || c == 0x0b
}

/// Numbers with a mark between two of them; as many as could be read.
fn numbers(text: &str, marks: [&str; 2], widths: [usize; 3]) -> Vec<u32> {
    let mut scan = Scan::new(text);
    let mut found = Vec::with_capacity(3);
    for (width, mark) in widths.into_iter().zip(marks.into_iter().map(Some).chain([None])) {
        let Some(number) = scan.number(width) else { break };
        found.push(number);
        if mark.is_some_and(|mark| scan.literal(mark).is_none()) {
            break;
        }
    }
    found
}

const ANY: [usize; 3] = [usize::MAX; 3];

impl Time {
    /// Parses a date (calendar, ordinal or week form), optionally with time and zone. A time alone
    /// means today, so `now` is needed; without a zone, `now`'s zone is taken.
    ///
    /// # Errors
    /// The text is no date; which part of it is wrong.
    pub fn parse(text: &str, now: Time) -> Result<Time, DateError> {
        if text.is_empty() {
            return Err(DateError::Empty(DATE));
        }
        if text.starts_with('T') || text.as_bytes().get(2) == Some(&b':') {
            let mut time = now;
            time.set_clock(text.strip_prefix('T').unwrap_or(text), now.offset_s)?;
            return time.valid(text);
        }
        if text.get(..5).is_some_and(|t| t.eq_ignore_ascii_case("epoch"))
            && text.as_bytes().get(5).is_none_or(|c| *c == b'/' || is_space(*c))
        {
            return Ok(Time { year: 1970, day: 1, second: 0, offset_s: 0 });
        }
        let mut time = parse_date(text)?;
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-' || c == 'W');
        if let Some(clock) = rest.strip_prefix([' ', 'T']) {
            time.set_clock(clock, now.offset_s)?;
        }
        time.valid(text)
    }

    fn valid(self, text: &str) -> Result<Time, DateError> {
        let day = (1..=year_days(self.year)).contains(&self.day) && (0..DAY_S).contains(&self.second);
        let sane = day && self.year <= YEAR_MAX;
        sane.then_some(self).ok_or_else(|| DateError::Unknown(text.into(), DATE))
    }

    fn set_clock(&mut self, text: &str, local_offset_s: i64) -> Result<(), DateError> {
        self.second = parse_hms(text)?;
        let zone = text.find('Z').or_else(|| text.find([' ', '+', '-']));
        let zone = zone.and_then(|at| text.get(at..));
        self.offset_s =
            match zone.map(|zone| zone.trim_start_matches(|c| u8::try_from(c).is_ok_and(is_space))) {
                None => local_offset_s,
                Some(zone) => parse_zone(zone)?,
            };
        if self.second == DAY_S {
            self.second = 0;
            self.add_days(1);
        }
        Ok(())
    }
}

fn parse_date(text: &str) -> Result<Time, DateError> {
    let mut parts = numbers(text, ["-", "-"], ANY);
    if parts.len() == 1 {
        parts = numbers(text, ["", ""], [4, 2, 2]);
    }
    if let [year, month, day] = parts[..] {
        return calendar_date(text, year, month, day);
    }
    // Only two: a time that follows a blank is no third number.
    if let [year, day, ..] = numbers(text, ["-", ""], ANY)[..] {
        return ordinal_date(text, year, day);
    }
    if let [year, week, day] = numbers(text, ["-W", "-"], ANY)[..] {
        return week_date(text, year, week, day);
    }
    Err(DateError::Unknown(text.into(), DATE))
}

fn known_year(text: &str, year: u32) -> Result<i64, DateError> {
    let known = (1..=YEAR_MAX).contains(&i64::from(year));
    known.then_some(i64::from(year)).ok_or_else(|| bad_date(text, format!("'{year}' is not a valid year")))
}

fn calendar_date(text: &str, year: u32, month: u32, day: u32) -> Result<Time, DateError> {
    if !(1..=12).contains(&month) {
        return Err(bad_date(text, format!("'{month}' is not a valid month")));
    }
    let (year, month) = (known_year(text, year)?, i64::from(month));
    if !(1..=month_days(month, year)).contains(&i64::from(day)) {
        return Err(bad_date(text, format!("'{day}' is not a valid day of the month")));
    }
    let before: i64 = (1..month).map(|m| month_days(m, year)).sum();
    Ok(Time { year, day: before + i64::from(day), second: 0, offset_s: 0 })
}

fn ordinal_date(text: &str, year: u32, day: u32) -> Result<Time, DateError> {
    let (year, days) = known_year(text, year).map(|year| (year, year_days(year)))?;
    if !(1..=days).contains(&i64::from(day)) {
        return Err(bad_date(text, format!("'{day}' is not a valid day of year {year} (1-{days})")));
    }
    Ok(Time { year, day: i64::from(day), second: 0, offset_s: 0 })
}

fn week_date(text: &str, year: u32, week: u32, day: u32) -> Result<Time, DateError> {
    let year = known_year(text, year)?;
    let (week, day, weeks) = (i64::from(week), i64::from(day), weeks_in_year(year));
    if !(1..=weeks).contains(&week) {
        return Err(bad_date(text, format!("'{week}' is not a valid week of year {year} (1-{weeks})")));
    }
    if !(1..=7).contains(&day) {
        return Err(bad_date(text, format!("'{day}' is not a valid day of the week")));
    }
    let jan1 = jan1_weekday(year);
    let first_monday = if jan1 <= 4 { 1 - jan1 } else { 8 - jan1 };
    let mut time = Time { year, day: 1, second: 0, offset_s: 0 };
    time.add_days((week - 1) * 7 + first_monday + day - 1);
    Ok(time)
}

fn parse_hms(text: &str) -> Result<i64, DateError> {
    let mut parts = numbers(text, [":", ":"], ANY);
    if parts.len() == 1 {
        parts = numbers(text, ["", ""], [2, 2, 2]);
    }
    let Some(h) = parts.first().copied() else {
        return Err(DateError::Unknown(text.into(), "time specification"));
    };
    let part = |at: usize| parts.get(at).copied().unwrap_or(0);
    let (m, s) = (part(1), part(2));
    let midnight = (h, m, s) == (24, 0, 0);
    let limits = [(h, 24, "hour"), (m, 60, "minute"), (s, 60, "second")];
    match limits.into_iter().find(|(number, limit, _)| !midnight && number >= limit) {
        Some((number, _, part)) => Err(DateError::Clock { text: text.into(), number, part }),
        None => Ok(i64::from(h) * 3600 + i64::from(m) * 60 + i64::from(s)),
    }
}

fn parse_zone(text: &str) -> Result<i64, DateError> {
    match text.as_bytes().first() {
        Some(b'-') => parse_hms(text.get(1..).unwrap_or_default()).map(|s| -s),
        Some(b'+') => parse_hms(text.get(1..).unwrap_or_default()),
        Some(c) if c.is_ascii_digit() => parse_hms(text),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        assert_eq!(numbers("2024-01- 07x", ["-", "-"], ANY), [2024, 1, 7]);
        assert_eq!(numbers("-1-99999999999999999999", ["-", ""], ANY), [u32::MAX, u32::MAX]);
        assert_eq!(numbers("20240107", ["", ""], [4, 2, 2]), [2024, 1, 7]);
        assert_eq!(numbers("2024-", ["", ""], [4, 2, 2]), [2024]);
        assert_eq!(numbers("\u{b}12", ["", ""], ANY), [12]);
        assert!(numbers("-", ["", ""], ANY).is_empty());
    }
}
