//! Scores: integers with two infinities (Pacemaker Explained, "Scores").

use std::fmt;
use std::ops::{Add, AddAssign, Neg};
use std::str::FromStr;

/// The value at which a score stops being a preference and becomes a rule.
pub const INFINITY: i32 = 1_000_000;

/// A preference between -INFINITY and +INFINITY. Addition saturates, and -INFINITY always wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Score(i32);

impl Score {
    pub const ZERO: Score = Score(0);
    pub const INFINITY: Score = Score(INFINITY);
    pub const MINUS_INFINITY: Score = Score(-INFINITY);

    /// Values beyond the infinities are the infinities.
    pub const fn new(value: i64) -> Score {
        if value >= INFINITY as i64 {
            Score::INFINITY
        } else if value <= -(INFINITY as i64) {
            Score::MINUS_INFINITY
        } else {
            Score(value as i32)
        }
    }

    pub const fn value(self) -> i32 {
        self.0
    }
}

impl Add for Score {
    type Output = Score;

    fn add(self, other: Score) -> Score {
        if self.0 <= -INFINITY || other.0 <= -INFINITY {
            Score::MINUS_INFINITY
        } else if self.0 >= INFINITY || other.0 >= INFINITY {
            Score::INFINITY
        } else {
            Score::new(i64::from(self.0) + i64::from(other.0))
        }
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Score) {
        *self = *self + other;
    }
}

impl Neg for Score {
    type Output = Score;

    fn neg(self) -> Score {
        Score(-self.0)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            INFINITY => f.pad("INFINITY"),
            v if v == -INFINITY => f.pad("-INFINITY"),
            v => f.pad(&v.to_string()),
        }
    }
}

/// A text that is neither a number nor one of the words for a score.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a score: use an integer, INFINITY, or -INFINITY")]
pub struct NotAScore(String);

impl FromStr for Score {
    type Err = NotAScore;

    fn from_str(text: &str) -> Result<Score, NotAScore> {
        match text {
            "INFINITY" | "+INFINITY" => return Ok(Score::INFINITY),
            "-INFINITY" => return Ok(Score::MINUS_INFINITY),
            "red" => return Ok(Score::MINUS_INFINITY),
            "yellow" | "green" => return Ok(Score::ZERO),
            _ => {}
        }
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotAScore(text.to_string()));
        }
        let magnitude = digits.parse::<i64>().unwrap_or(i64::MAX);
        Ok(Score::new(if text.starts_with('-') { -magnitude } else { magnitude }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn minus_infinity_wins_every_sum() {
        assert_eq!(Score::INFINITY + Score::MINUS_INFINITY, Score::MINUS_INFINITY);
        assert_eq!(Score::new(5) + Score::INFINITY, Score::INFINITY);
        assert_eq!(Score::new(999_999) + Score::new(5), Score::INFINITY);
    }

    #[test]
    fn words_and_overflowing_numbers() {
        assert_eq!("-INFINITY".parse(), Ok(Score::MINUS_INFINITY));
        assert_eq!("99999999999999999999999".parse(), Ok(Score::INFINITY));
        assert_eq!("+7".parse(), Ok(Score::new(7)));
        assert!("seven".parse::<Score>().is_err());
        assert!("".parse::<Score>().is_err());
    }

    /// A score as text, by comparison of digits instead of arithmetic.
    fn slowly(text: &str) -> Option<i32> {
        let (sign, digits) = match text.as_bytes().first()? {
            b'-' => (-1, &text[1..]),
            b'+' => (1, &text[1..]),
            _ => (1, text),
        };
        if digits == "INFINITY" {
            return Some(sign * INFINITY);
        }
        if sign == 1 && text == digits && ["red", "yellow", "green"].contains(&text) {
            return Some(if text == "red" { -INFINITY } else { 0 });
        }
        if digits.is_empty() || digits.chars().any(|c| !c.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        if digits.len() > 6 {
            return Some(sign * INFINITY);
        }
        Some(sign * digits.chars().fold(0, |value, c| 10 * value + c as i32 - '0' as i32))
    }

    fn score() -> impl Strategy<Value = Score> {
        prop_oneof![
            Just(Score::INFINITY),
            Just(Score::MINUS_INFINITY),
            any::<i64>().prop_map(Score::new),
            (-1_000_001i64..1_000_001).prop_map(Score::new)
        ]
    }

    proptest! {
        #[test]
        fn anything_is_read_as_the_slow_reader_does(
            text in "\\PC{0,12}",
            near in "[+-]{0,2}(0{0,3}[0-9]{0,24}|INFINITY|red|yellow|green)[ a]?",
        ) {
            for text in [text, near] {
                prop_assert_eq!(text.parse::<Score>().ok().map(Score::value), slowly(&text), "{}", text);
            }
        }

        #[test]
        fn what_is_written_is_read_again(score in score()) {
            prop_assert_eq!(score.to_string().parse(), Ok(score));
        }

        #[test]
        fn sums(a in score(), b in score()) {
            prop_assert_eq!(a + b, b + a);
            prop_assert_eq!(a + Score::ZERO, a);
            prop_assert_eq!(a + Score::MINUS_INFINITY, Score::MINUS_INFINITY);
            let is_finite = |score: Score| score.value().abs() < INFINITY;
            if is_finite(a) && is_finite(b) {
                let exact = i64::from(a.value()) + i64::from(b.value());
                prop_assert_eq!(i64::from((a + b).value()), exact.clamp(-i64::from(INFINITY), i64::from(INFINITY)));
            } else if a != Score::MINUS_INFINITY && b != Score::MINUS_INFINITY {
                prop_assert_eq!(a + b, Score::INFINITY);
            }
        }
    }
}
