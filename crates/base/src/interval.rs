//! Intervals and time-outs as administrators write them.

/// Parses "60s", "500ms", "2min", "1h" or a bare number of seconds into milliseconds.
/// Units as in Pacemaker Explained: us/usec, ms/msec, s/sec, m/min, h/hr. ISO 8601 durations
/// ("PT10S") with weeks, days, hours, minutes and seconds are read as well. `None` if it is neither.
pub fn parse_interval_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.starts_with('P') {
        return iso_duration_ms(text);
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return None;
    }
    let number: u64 = digits.parse().unwrap_or(u64::MAX);
    let (multiply, divide) = match unit.trim() {
        "ms" | "msec" => (1, 1),
        "us" | "usec" => (1, 1000),
        "" | "s" | "sec" => (1000, 1),
        "m" | "min" => (60_000, 1),
        "h" | "hr" => (3_600_000, 1),
        _ => return None,
    };
    Some(number.saturating_mul(multiply) / divide)
}

fn iso_duration_ms(text: &str) -> Option<u64> {
    let (mut in_time, mut total, mut number, mut any) = (false, 0u64, String::new(), false);
    for c in text.strip_prefix('P')?.chars() {
        let seconds = match (c, in_time) {
            ('0'..='9', _) => {
                number.push(c);
                continue;
            }
            ('T', false) if number.is_empty() => {
                in_time = true;
                continue;
            }
            ('W', false) => 7 * 86_400,
            ('D', false) => 86_400,
            ('H', true) => 3600,
            ('M', true) => 60,
            ('S', true) => 1,
            _ => return None,
        };
        let value: u64 = number.parse().ok()?;
        number.clear();
        any = true;
        total = total.saturating_add(value.saturating_mul(seconds));
    }
    (any && number.is_empty()).then(|| total.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::parse_interval_ms as ms;
    use proptest::prelude::*;

    /// Names of units, and milliseconds in one of them as a fraction.
    const UNITS: [(&str, u128, u128); 11] = [
        ("", 1000, 1),
        ("s", 1000, 1),
        ("sec", 1000, 1),
        ("ms", 1, 1),
        ("msec", 1, 1),
        ("us", 1, 1000),
        ("usec", 1, 1000),
        ("m", 60_000, 1),
        ("min", 60_000, 1),
        ("h", 3_600_000, 1),
        ("hr", 3_600_000, 1),
    ];

    #[test]
    fn units() {
        assert_eq!(ms("60s"), Some(60_000));
        assert_eq!(ms("10"), Some(10_000));
        assert_eq!(ms("5min"), Some(300_000));
        assert_eq!(ms("1500us"), Some(1));
        assert_eq!(ms("2h"), Some(7_200_000));
        assert_eq!(ms("PT10S"), Some(10_000));
        assert_eq!(ms("P1DT1M"), Some(86_460_000));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "s", "10 parsecs", "P", "PT", "P5", "PT5", "-5s"] {
            assert_eq!(ms(text), None, "{text}");
        }
    }

    /// What an ISO 8601 duration means, part by part.
    fn iso(parts: &[(u64, char)]) -> (String, u128) {
        let seconds = |unit: char| match unit {
            'W' => 604_800,
            'D' => 86_400,
            'H' => 3_600,
            'M' => 60,
            _ => 1u128,
        };
        let time = parts.iter().position(|(_, unit)| "HMS".contains(*unit));
        let mut text = String::from("P");
        for (index, (number, unit)) in parts.iter().enumerate() {
            text += if time == Some(index) { "T" } else { "" };
            text += &format!("{number}{unit}");
        }
        (text, parts.iter().map(|(number, unit)| u128::from(*number) * seconds(*unit) * 1000).sum())
    }

    fn saturated(ms: u128) -> Option<u64> {
        Some(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    proptest! {
        /// Numbers with a unit are what exact arithmetic makes of them; beyond the largest the largest counts.
        #[test]
        fn numbers_with_units(number: u64, unit in 0..UNITS.len(), gap in " {0,2}", plus in "[+]?") {
            let (name, multiply, divide) = UNITS[unit];
            let exact = (u128::from(number) * multiply).min(u128::from(u64::MAX)) / divide;
            prop_assert_eq!(ms(&format!(" {plus}{number}{gap}{name} ")), saturated(exact));
        }

        #[test]
        fn iso_durations(
            days in proptest::collection::vec((0u64..1_000_000_000_000_000, "[WD]"), 0..3),
            times in proptest::collection::vec((0u64..1_000_000_000_000_000, "[HMS]"), 0..4),
        ) {
            let parts: Vec<(u64, char)> = days
                .iter()
                .chain(&times)
                .map(|(number, unit)| (*number, unit.chars().next().unwrap_or('S')))
                .collect();
            let (text, exact) = iso(&parts);
            let expected = if parts.is_empty() { None } else { saturated(exact / 1000).map(|s| s.saturating_mul(1000)) };
            prop_assert_eq!(ms(&text), expected);
        }

        /// Whatever is accepted begins with a digit, a plus or a P, and a sign is never swallowed.
        #[test]
        fn anything(text in "\\PC{0,20}", near in "[+P]?[0-9]{0,22}[ a-zA-Z0-9]{0,6}") {
            for text in [&text, &near] {
                if ms(text).is_some() {
                    prop_assert!(text.trim().starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == 'P'));
                }
                prop_assert_eq!(ms(&format!("-{text}")), None);
                prop_assert_eq!(ms(&format!("  {text}")), ms(text));
            }
        }
    }
}
