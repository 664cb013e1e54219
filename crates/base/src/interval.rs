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
}
