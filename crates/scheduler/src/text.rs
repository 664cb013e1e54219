//! Shared strings, and the small parsers for what administrators and histories write.

use smol_str::{SmolStr, SmolStrBuilder};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// A string that is cheap to copy: a literal, a short text in place, or a longer one that is shared by
/// reference count.
#[derive(Clone, Default)]
pub struct Str(SmolStr);

impl Str {
    /// A literal; never allocates.
    pub const fn lit(text: &'static str) -> Str {
        Str(SmolStr::new_static(text))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Deref for Str {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Str {
        Str(text.into())
    }
}

impl From<String> for Str {
    fn from(text: String) -> Str {
        Str(text.into())
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Str) -> bool {
        self.as_str() == other.as_str()
    }
}
impl Eq for Str {}
impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}
impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}
impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Str) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Str {
    fn cmp(&self, other: &Str) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}
impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}
impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

/// A small map that keeps the order of first insertion. Lookup is linear: meant for tens of entries.
#[derive(Clone, Debug, Default)]
pub struct Table {
    items: Vec<(Str, Str)>,
}

impl Table {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.items.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
    }

    pub fn get_str(&self, name: &str) -> Option<Str> {
        self.items.iter().find(|(key, _)| &**key == name).map(|(_, value)| value.clone())
    }

    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets, replacing an older value.
    pub fn set(&mut self, name: impl Into<Str>, value: impl Into<Str>) {
        let name = name.into();
        match self.items.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value.into(),
            None => self.items.push((name, value.into())),
        }
    }

    /// Sets unless there is a value already.
    pub fn add(&mut self, name: impl Into<Str>, value: impl Into<Str>) {
        let name = name.into();
        if !self.contains(&name) {
            self.items.push((name, value.into()));
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.items.retain(|(key, _)| &**key != name);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Str, &Str)> {
        self.items.iter().map(|(key, value)| (key, value))
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// The words that the reference takes as booleans, whatever their case.
pub fn parse_bool(text: &str) -> Option<bool> {
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if ["true", "on", "yes", "y", "1"].iter().any(is) {
        Some(true)
    } else if ["false", "off", "no", "n", "0"].iter().any(is) {
        Some(false)
    } else {
        None
    }
}

/// True only for a word that means "true".
pub fn is_true(text: Option<&str>) -> bool {
    text.and_then(parse_bool) == Some(true)
}

/// A number of so many digits fits into 64 bits with a sign.
const SAFE_DIGITS: usize = 18;

/// Leading integer (after white space, with sign), and what follows it. `None` when there is none.
/// Numbers that do not fit are clipped.
pub fn leading_int(text: &str) -> Option<(i64, &str)> {
    let blanks = text.bytes().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let text = text.get(blanks..)?;
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..)?),
        Some(b'+') => (false, text.get(1..)?),
        _ => (false, text),
    };
    let end = digits.bytes().take_while(u8::is_ascii_digit).count();
    if end == 0 {
        return None;
    }
    let (number, rest) = digits.split_at(end);
    let add = |value: i64, digit: u8| value * 10 + i64::from(digit - b'0');
    let value = if end <= SAFE_DIGITS {
        Some(number.bytes().fold(0, add))
    } else {
        let checked = |value: i64, digit: u8| value.checked_mul(10)?.checked_add(i64::from(digit - b'0'));
        number.bytes().try_fold(0, checked)
    };
    let value = match value {
        Some(value) if negative => -value,
        Some(value) => value,
        None if negative => i64::MIN,
        None => i64::MAX,
    };
    Some((value, rest))
}

/// Integer at the start of a text.
pub fn parse_int(text: &str) -> Option<i64> {
    leading_int(text).map(|(value, _)| value)
}

/// As the reference's "scan with minimum": clipped to 32 bits, `minimum` if absent, bad or smaller.
pub fn min_int(text: Option<&str>, minimum: i32) -> i32 {
    let value = text.and_then(parse_int).unwrap_or(i64::from(minimum));
    value.clamp(i64::from(minimum), i64::from(i32::MAX)) as i32
}

/// Unsigned number of milliseconds in a history entry; 0 if absent or bad.
pub fn parse_uint(text: Option<&str>) -> u32 {
    let value = text.and_then(parse_int).unwrap_or(0);
    u32::try_from(value).unwrap_or(0)
}

/// "20s", "500ms", "2min" and so on, in milliseconds; `None` if it is no duration.
pub fn parse_ms(text: &str) -> Option<i64> {
    let (value, rest) = leading_int(text)?;
    let units = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim_start();
    let starts = |word: &str| units.get(..word.len()).is_some_and(|u| u.eq_ignore_ascii_case(word));
    let (multiplier, divisor) = if units.is_empty() || starts("s") {
        (1000, 1)
    } else if starts("ms") {
        (1, 1)
    } else if starts("us") {
        (1, 1000)
    } else if starts("m") {
        (60_000, 1)
    } else if starts("h") {
        (3_600_000, 1)
    } else {
        return None;
    };
    Some(value.saturating_mul(multiplier) / divisor)
}

/// An interval or time-out in milliseconds: a duration as in [`parse_ms`] or in ISO 8601. 0 if bad.
pub fn interval_ms(text: Option<&str>) -> u32 {
    let Some(text) = text else { return 0 };
    let ms = if text.starts_with('P') {
        crate::iso8601::Duration::parse(text).map_or(-1, |d| d.seconds_total().saturating_mul(1000))
    } else {
        parse_ms(text).unwrap_or(-1)
    };
    ms.clamp(0, i64::from(u32::MAX)) as u32
}

/// Whole seconds of a time-out: rounded, but never 0 unless the time-out is 0.
pub fn ms_to_s(ms: u32) -> u32 {
    match ms {
        0 => 0,
        1..1000 => 1,
        _ => ms / 1000 + u32::from(ms % 1000 >= 500),
    }
}

/// Compares names as the reference sorts nodes: case-blind, runs of digits by value.
pub fn numeric_cmp(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let (Some(x), Some(y)) = (a.first(), b.first()) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (na, ra) = split_digits(a);
            let (nb, rb) = split_digits(b);
            let order = value_of(na).cmp(&value_of(nb)).then(na.len().cmp(&nb.len()));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (ra, rb);
        } else {
            let order = x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase());
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (a.split_at(1).1, b.split_at(1).1);
        }
    }
    a.is_empty().cmp(&b.is_empty()).reverse()
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|c| c.is_ascii_digit()).count())
}

fn value_of(digits: &[u8]) -> i64 {
    digits.iter().fold(0i64, |sum, d| sum.saturating_mul(10).saturating_add(i64::from(*d - b'0')))
}

/// Compares dotted version numbers; what is missing counts as 0.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (version_parts(a), version_parts(b));
    loop {
        let (a, b) = (a.next(), b.next());
        if a.is_none() && b.is_none() {
            return Ordering::Equal;
        }
        let order = a.unwrap_or(0).cmp(&b.unwrap_or(0));
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The numbers of a version, up to what is neither a digit nor a point.
fn version_parts(text: &str) -> impl Iterator<Item = i64> {
    let text = text.trim_start();
    let end = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    text.get(..end).unwrap_or("").split('.').map(|part| parse_int(part).unwrap_or(0))
}

/// `RSC_TASK_INTERVAL`: the name of an operation.
pub fn op_key(rsc: &str, task: &str, interval_ms: u32) -> Str {
    // A large cluster makes a million of these, and formatting takes longer than the rest.
    let mut key = SmolStrBuilder::new();
    for part in [rsc, "_", task, "_"] {
        key.push_str(part);
    }
    match interval_ms {
        0 => key.push_str("0"),
        // Memory takes any number.
        _ => drop(write!(key, "{interval_ms}")),
    }
    Str(key.finish())
}

/// The name of a notification operation.
pub fn notify_key(rsc: &str, kind: &str, task: &str) -> Str {
    format!("{rsc}_{kind}_notify_{task}_0").into()
}

/// Splits `RSC_TASK_INTERVAL`; tasks may themselves hold underscores.
pub fn parse_op_key(key: &str) -> Option<(&str, &str, u32)> {
    const TASKS: [&str; 2] = ["migrate_from", "migrate_to"];
    const PREFIXES: [&str; 4] =
        ["pre_notify", "post_notify", "confirmed-pre_notify", "confirmed-post_notify"];
    if key.len() < 5 {
        return None;
    }
    let last = key.get(..key.len() - 1)?.rfind('_').filter(|at| *at > 2)?;
    let interval = parse_uint(key.get(last + 1..));
    let mut under = match match_before(key, last, &TASKS) {
        Some(at) => at,
        None => key.get(..last - 1)?.rfind('_').filter(|at| *at > 0)?,
    };
    if let Some(at) = match_before(key, under, &PREFIXES) {
        under = at;
    }
    Some((key.get(..under)?, key.get(under + 1..last)?, interval))
}

fn match_before(key: &str, position: usize, words: &[&str]) -> Option<usize> {
    words.iter().find_map(|word| {
        let at = position.checked_sub(word.len() + 1).filter(|at| *at > 0)?;
        let hit = key.get(at..)?.strip_prefix('_')?.starts_with(word);
        hit.then_some(at)
    })
}

/// Decoded `ACTION:TRANSITION:TARGET_RC:UUID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitionKey<'a> {
    pub action: i32,
    pub transition: i32,
    pub target_rc: i32,
    pub uuid: &'a str,
}

pub fn parse_transition_key(key: &str) -> Option<TransitionKey<'_>> {
    let (action, rest) = leading_int(key)?;
    let (transition, rest) = leading_int(rest.strip_prefix(':')?)?;
    let (target_rc, rest) = leading_int(rest.strip_prefix(':')?)?;
    let uuid = rest.strip_prefix(':')?.split_ascii_whitespace().next()?;
    Some(TransitionKey {
        action: action as i32,
        transition: transition as i32,
        target_rc: target_rc as i32,
        uuid,
    })
}

/// Decoded `STATUS:RC;KEY`.
pub fn parse_transition_magic(magic: &str) -> Option<(i32, i32, TransitionKey<'_>)> {
    let (status, rest) = leading_int(magic)?;
    let (rc, rest) = leading_int(rest.strip_prefix(':')?)?;
    Some((status as i32, rc as i32, parse_transition_key(rest.strip_prefix(';')?)?))
}

/// A resource id without the `:N` of a clone instance.
pub fn clone_strip(id: &str) -> &str {
    match id.rsplit_once(':') {
        Some((base, number)) if !base.is_empty() && number.bytes().all(|c| c.is_ascii_digit()) => base,
        _ => id,
    }
}

/// `CRM_meta_` name of a meta-attribute.
pub fn meta_name(name: &str) -> Str {
    format!("CRM_meta_{}", name.replace('-', "_")).into()
}

/// Sorts exactly as the reference's merge sort does, also when the order is not a total one:
/// which element wins then is visible in its decisions.
pub fn merge_sort<T: Copy>(list: &mut [T], cmp: &mut dyn FnMut(T, T) -> Ordering) {
    let n = list.len();
    if n < 2 {
        return;
    }
    let (left, right) = list.split_at_mut(n / 2);
    merge_sort(left, cmp);
    merge_sort(right, cmp);
    let mut merged = Vec::with_capacity(n);
    let (mut l, mut r) = (left.iter().copied().peekable(), right.iter().copied().peekable());
    while let (Some(&a), Some(&b)) = (l.peek(), r.peek()) {
        if cmp(a, b) == Ordering::Greater {
            merged.push(b);
            r.next();
        } else {
            merged.push(a);
            l.next();
        }
    }
    merged.extend(l);
    merged.extend(r);
    list.copy_from_slice(&merged);
}

/// A duration in the units that fit it.
pub fn readable_interval(ms: u32) -> String {
    const UNITS: [(u32, &str); 3] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m")];
    let (mut out, mut rest) = (String::new(), ms);
    for (unit, name) in UNITS {
        if rest >= unit {
            out += &format!("{}{name}", rest / unit);
            rest %= unit;
        }
    }
    match (rest / 1000, rest % 1000) {
        (0, 0) if ms == 0 => out += "0s",
        (0, 0) => {}
        (0, part) => out += &format!("{part}ms"),
        (seconds, 0) => out += &format!("{seconds}s"),
        (seconds, part) => out += &format!("{seconds}.{part:03}s"),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn op_keys_split_at_the_task() {
        assert_eq!(parse_op_key("a_b_migrate_to_0"), Some(("a_b", "migrate_to", 0)));
        assert_eq!(parse_op_key("rsc_monitor_10000"), Some(("rsc", "monitor", 10000)));
        assert_eq!(
            parse_op_key("r_confirmed-post_notify_start_0"),
            Some(("r", "confirmed-post_notify_start", 0))
        );
        assert_eq!(parse_op_key("x"), None);
    }

    #[test]
    fn names_sort_by_number() {
        assert_eq!(numeric_cmp("node2", "node10"), Ordering::Less);
        assert_eq!(numeric_cmp("Node2", "node2"), Ordering::Equal);
        assert_eq!(numeric_cmp("node", "node1"), Ordering::Less);
    }

    #[test]
    fn durations() {
        assert_eq!(interval_ms(Some("20s")), 20_000);
        assert_eq!(interval_ms(Some("5min")), 300_000);
        assert_eq!(interval_ms(Some("PT10S")), 10_000);
        assert_eq!(interval_ms(Some("nonsense")), 0);
    }

    #[test]
    fn clone_names() {
        assert_eq!(clone_strip("rsc:12"), "rsc");
        assert_eq!(clone_strip("rsc:x"), "rsc:x");
    }

    proptest::proptest! {
        #[test]
        fn parsers_never_panic(text in "\\PC{0,40}") {
            let _ = (parse_op_key(&text), parse_transition_magic(&text), parse_ms(&text));
            let _ = (interval_ms(Some(&text)), compare_versions(&text, "1.2"), clone_strip(&text));
            let _ = numeric_cmp(&text, "node1");
        }
    }
}
