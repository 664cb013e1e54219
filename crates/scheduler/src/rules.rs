//! Rules (`<rule>`) and the blocks of name/value pairs that they guard.

use crate::fast_hash::FastMap;
use crate::iso8601::{Duration, Moment, Time};
use crate::text::{Str, Table, compare_versions, interval_ms, merge_sort, parse_bool, parse_int};
use std::cmp::Ordering;
use xml::{Document, NodeId};

/// What a rule may ask about.
#[derive(Clone, Copy)]
pub struct RuleInput<'a> {
    pub now: Moment,
    pub node_attrs: Option<&'a FastMap<Str, Str>>,
    pub rsc_params: Option<&'a Table>,
    pub rsc_meta: Option<&'a Table>,
    /// Resource id and the parts of it that a pattern matched (%0 to %9).
    pub rsc_id: Option<&'a str>,
    pub submatches: &'a [Option<(usize, usize)>],
    pub class: Option<&'a str>,
    pub provider: Option<&'a str>,
    pub agent: Option<&'a str>,
    pub op_name: Option<&'a str>,
    pub op_interval_ms: u32,
}

impl RuleInput<'_> {
    pub fn at(now: Moment) -> RuleInput<'static> {
        RuleInput {
            now,
            node_attrs: None,
            rsc_params: None,
            rsc_meta: None,
            rsc_id: None,
            submatches: &[],
            class: None,
            provider: None,
            agent: None,
            op_name: None,
            op_interval_ms: 0,
        }
    }
}

/// Outcome of a rule, or of a condition in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Satisfied,
    NotYet,
    Expired,
    Unsatisfied,
    Invalid,
}

/// Rules may not be nested deeper than this.
const MAX_NESTING: usize = 256;

/// Evaluates a rule; `next_change` becomes the earliest time at which the answer may change.
pub fn evaluate(
    doc: &Document,
    rule: NodeId,
    input: &RuleInput<'_>,
    next_change: &mut Option<Time>,
) -> Verdict {
    evaluate_nested(doc, rule, input, next_change, 0)
}

fn evaluate_nested(
    doc: &Document,
    rule: NodeId,
    input: &RuleInput<'_>,
    next_change: &mut Option<Time>,
    depth: usize,
) -> Verdict {
    let Some(rule) = resolve(doc, rule) else { return Verdict::Invalid };
    if depth > MAX_NESTING || doc.attr(rule, "id").is_none_or(str::is_empty) {
        return Verdict::Invalid;
    }
    let Some(all) = parse_combine(doc.attr(rule, "boolean-op")) else { return Verdict::Invalid };
    let mut result = if all { Verdict::Satisfied } else { Verdict::Unsatisfied };
    let mut empty = true;
    for condition in doc.element(rule).children() {
        empty = false;
        let passed = condition_passes(doc, condition.id(), input, next_change, depth);
        if passed && !all {
            result = Verdict::Satisfied;
            break;
        }
        if !passed && all {
            result = Verdict::Unsatisfied;
            break;
        }
    }
    if empty { Verdict::Satisfied } else { result }
}

/// `Some(true)` for "and", `Some(false)` for "or".
pub fn parse_combine(text: Option<&str>) -> Option<bool> {
    match text {
        None => Some(true),
        Some(t) if t.eq_ignore_ascii_case("and") => Some(true),
        Some(t) if t.eq_ignore_ascii_case("or") => Some(false),
        Some(_) => None,
    }
}

fn condition_passes(
    doc: &Document,
    condition: NodeId,
    input: &RuleInput<'_>,
    next_change: &mut Option<Time>,
    depth: usize,
) -> bool {
    let verdict = match doc.name(condition) {
        "rule" => evaluate_nested(doc, condition, input, next_change, depth + 1),
        "expression" => attribute_expression(doc, condition, input),
        "date_expression" => date_expression(doc, condition, input.now.time(), next_change),
        "rsc_expression" => rsc_expression(doc, condition, input),
        "op_expression" => op_expression(doc, condition, input),
        _ => Verdict::Invalid,
    };
    verdict == Verdict::Satisfied
}

fn has_id(doc: &Document, node: NodeId) -> bool {
    doc.attr(node, "id").is_some_and(|id| !id.is_empty())
}

fn rsc_expression(doc: &Document, node: NodeId, input: &RuleInput<'_>) -> Verdict {
    if !has_id(doc, node) {
        return Verdict::Invalid;
    }
    let fits =
        |name: &str, actual: Option<&str>| doc.attr(node, name).is_none_or(|want| actual == Some(want));
    let ok = fits("class", input.class) && fits("provider", input.provider) && fits("type", input.agent);
    if ok { Verdict::Satisfied } else { Verdict::Unsatisfied }
}

fn op_expression(doc: &Document, node: NodeId, input: &RuleInput<'_>) -> Verdict {
    let Some(name) = doc.attr(node, "name").filter(|_| has_id(doc, node)) else { return Verdict::Invalid };
    let interval = doc.attr(node, "interval");
    if input.op_name != Some(name) || interval.is_some_and(|i| interval_ms(Some(i)) != input.op_interval_ms) {
        return Verdict::Unsatisfied;
    }
    Verdict::Satisfied
}

/// Replaces %0 to %9 by the matched parts of the resource id.
pub fn expand_submatches(text: &str, input: &RuleInput<'_>) -> String {
    let Some(id) = input.rsc_id.filter(|id| !id.is_empty() && !input.submatches.is_empty()) else {
        return text.to_string();
    };
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek().and_then(|d| d.to_digit(10)).filter(|_| c == '%') {
            Some(digit) => {
                chars.next();
                if let Some(Some((from, to))) = input.submatches.get(digit as usize) {
                    out.push_str(id.get(*from..*to).unwrap_or(""));
                }
            }
            None => out.push(c),
        }
    }
    out
}

fn attribute_expression(doc: &Document, node: NodeId, input: &RuleInput<'_>) -> Verdict {
    let (Some(name), true) = (doc.attr(node, "attribute"), has_id(doc, node)) else {
        return Verdict::Invalid;
    };
    let name = expand_submatches(name, input);
    let Some(operation) = doc.attr(node, "operation").map(str::to_ascii_lowercase) else {
        return Verdict::Invalid;
    };
    let actual = input.node_attrs.and_then(|attrs| attrs.get(name.as_str())).map(|v| &**v);
    let value = doc.attr(node, "value");
    let yes = |ok: bool| if ok { Verdict::Satisfied } else { Verdict::Unsatisfied };
    match operation.as_str() {
        "defined" | "not_defined" if value.is_some() => return Verdict::Invalid,
        "defined" => return yes(actual.is_some()),
        "not_defined" => return yes(actual.is_none()),
        "eq" | "ne" | "lt" | "lte" | "gt" | "gte" => {}
        _ => return Verdict::Invalid,
    }
    let Some(value) = value else { return Verdict::Invalid };
    let source = doc.attr(node, "value-source").map(str::to_ascii_lowercase);
    let reference = match source.as_deref() {
        None | Some("literal") => Some(value),
        Some("param") => input.rsc_params.and_then(|t| t.get(value)),
        Some("meta") => input.rsc_meta.and_then(|t| t.get(value)),
        Some(_) => return Verdict::Invalid,
    };
    let ordered = matches!(operation.as_str(), "lt" | "lte" | "gt" | "gte");
    let dot = |v: Option<&str>| v.is_some_and(|v| v.contains('.'));
    let kind = match doc.attr(node, "type").map(str::to_ascii_lowercase).as_deref() {
        None if ordered && (dot(actual) || dot(reference)) => Kind::Number,
        None if ordered => Kind::Integer,
        None | Some("string") => Kind::Text,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("version") => Kind::Version,
        Some(_) => return Verdict::Invalid,
    };
    let order = compare_as(actual, reference, kind);
    match operation.as_str() {
        "eq" => yes(order == Ordering::Equal),
        "ne" => yes(order != Ordering::Equal),
        _ if actual.is_none() || reference.is_none() => Verdict::Unsatisfied,
        "lt" => yes(order == Ordering::Less),
        "lte" => yes(order != Ordering::Greater),
        "gt" => yes(order == Ordering::Greater),
        _ => yes(order != Ordering::Less),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Number,
    Version,
}

fn compare_as(a: Option<&str>, b: Option<&str>, kind: Kind) -> Ordering {
    let (a, b) = match (a, b) {
        (a, None) => return a.is_some().cmp(&false),
        (None, Some(_)) => return Ordering::Less,
        (Some(a), Some(b)) => (a, b),
    };
    let as_text = || a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase());
    match kind {
        Kind::Text => as_text(),
        Kind::Integer => match (parse_int(a), parse_int(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => as_text(),
        },
        Kind::Number => match (leading_float(a), leading_float(b)) {
            (Some(a), Some(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            _ => as_text(),
        },
        Kind::Version => compare_versions(a, b),
    }
}

fn leading_float(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let mut end = text.len();
    while end > 0 {
        if let Some(value) = text.get(..end).and_then(|t| t.parse::<f64>().ok()) {
            return Some(value);
        }
        end -= 1;
    }
    None
}

fn earlier(target: &mut Option<Time>, time: Time) {
    if target.is_none_or(|old| time.compare(&old) == Ordering::Less) {
        *target = Some(time);
    }
}

fn date_attr(doc: &Document, node: NodeId, name: &str, now: Time) -> Result<Option<Time>, ()> {
    match doc.attr(node, name) {
        None => Ok(None),
        Some(text) => Time::parse(text, now).map(Some).map_err(drop),
    }
}

/// Evaluates one date expression by itself.
pub fn evaluate_date(doc: &Document, expression: NodeId, now: Time) -> Verdict {
    date_expression(doc, expression, now, &mut None)
}

fn date_expression(doc: &Document, node: NodeId, now: Time, next_change: &mut Option<Time>) -> Verdict {
    if !has_id(doc, node) {
        return Verdict::Invalid;
    }
    let operation = doc.attr(node, "operation").unwrap_or("in_range").to_ascii_lowercase();
    match operation.as_str() {
        "in_range" => in_range(doc, node, now, next_change).unwrap_or(Verdict::Invalid),
        "date_spec" => match doc.child(node, "date_spec") {
            Some(spec) => date_spec(doc, spec, now),
            None => Verdict::Invalid,
        },
        "gt" => match date_attr(doc, node, "start", now) {
            Ok(Some(start)) if now.compare(&start) == Ordering::Greater => Verdict::Satisfied,
            Ok(Some(mut start)) => {
                start.add_seconds(1);
                earlier(next_change, start);
                Verdict::NotYet
            }
            _ => Verdict::Invalid,
        },
        "lt" => match date_attr(doc, node, "end", now) {
            Ok(Some(end)) if now.compare(&end) == Ordering::Less => {
                earlier(next_change, end);
                Verdict::Satisfied
            }
            Ok(Some(_)) => Verdict::Expired,
            _ => Verdict::Invalid,
        },
        _ => Verdict::Invalid,
    }
}

fn in_range(doc: &Document, node: NodeId, now: Time, next_change: &mut Option<Time>) -> Result<Verdict, ()> {
    let start = date_attr(doc, node, "start", now)?;
    let mut end = date_attr(doc, node, "end", now)?;
    if start.is_none() && end.is_none() {
        return Err(());
    }
    if let (None, Some(start), Some(duration)) = (end, start, doc.child(node, "duration")) {
        end = Some(add_duration(doc, duration, start).ok_or(())?);
    }
    if let Some(start) = start.filter(|s| now.compare(s) == Ordering::Less) {
        earlier(next_change, start);
        return Ok(Verdict::NotYet);
    }
    if let Some(mut end) = end {
        if now.compare(&end) == Ordering::Greater {
            return Ok(Verdict::Expired);
        }
        end.add_seconds(1);
        earlier(next_change, end);
    }
    Ok(Verdict::Satisfied)
}

fn add_duration(doc: &Document, duration: NodeId, start: Time) -> Option<Time> {
    if !has_id(doc, duration) {
        return None;
    }
    let part = |name: &str| match doc.attr(duration, name) {
        None => Some(0),
        Some(text) => parse_int(text).filter(|v| i32::try_from(*v).is_ok()),
    };
    let mut time = start;
    time.add_years(part("years")?);
    time.add_months(part("months")?);
    time.add_days(part("weeks")? * 7);
    time.add_days(part("days")?);
    time.add_seconds(part("hours")? * 3600);
    time.add_seconds(part("minutes")? * 60);
    time.add_seconds(part("seconds")?);
    Some(time)
}

fn date_spec(doc: &Document, spec: NodeId, now: Time) -> Verdict {
    if !has_id(doc, spec) {
        return Verdict::Invalid;
    }
    let (year, month, day) = now.calendar();
    let (hour, minute, second) = now.clock();
    let (week_year, week, weekday) = now.week();
    let parts = [
        ("years", year),
        ("months", month),
        ("monthdays", day),
        ("hours", hour),
        ("minutes", minute),
        ("seconds", second),
        ("yeardays", now.day),
        ("weekyears", week_year),
        ("weeks", week),
        ("weekdays", weekday),
    ];
    for (name, value) in parts {
        let Some(range) = doc.attr(spec, name) else { continue };
        let Some((low, high)) = parse_range(range) else { return Verdict::Invalid };
        if low.is_some_and(|low| value < low) {
            return Verdict::NotYet;
        }
        if high.is_some_and(|high| value > high) {
            return Verdict::Expired;
        }
    }
    Verdict::Satisfied
}

/// "5", "5-7", "5-" or "-7".
fn parse_range(text: &str) -> Option<(Option<i64>, Option<i64>)> {
    let number = |t: &str| t.trim().parse::<i64>().ok();
    match text.split_once('-') {
        None => number(text).map(|n| (Some(n), Some(n))),
        Some(("", "")) => None,
        Some(("", high)) => Some((None, Some(number(high)?))),
        Some((low, "")) => Some((Some(number(low)?), None)),
        Some((low, high)) => Some((Some(number(low)?), Some(number(high)?))),
    }
}

/// Follows `id-ref` to the first element of the same name with that id. `None` if there is none.
pub fn resolve(doc: &Document, node: NodeId) -> Option<NodeId> {
    let Some(id) = doc.attr(node, "id-ref") else { return Some(node) };
    let name = doc.name(node);
    doc.root_element().descendants().find(|e| e.name() == name && e.attr("id") == Some(id)).map(|e| e.id())
}

/// Score of a text: the words for infinity and node health, or a number. `None` if it is neither.
pub fn parse_score(text: &str, health: &Health) -> Option<i32> {
    Some(match text {
        "-INFINITY" => -base::INFINITY,
        "INFINITY" | "+INFINITY" => base::INFINITY,
        t if t.eq_ignore_ascii_case("red") => health.red,
        t if t.eq_ignore_ascii_case("yellow") => health.yellow,
        t if t.eq_ignore_ascii_case("green") => health.green,
        t => parse_int(t)?.clamp(-i64::from(base::INFINITY), i64::from(base::INFINITY)) as i32,
    })
}

/// Scores that node health words stand for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Health {
    pub red: i32,
    pub yellow: i32,
    pub green: i32,
}

/// Unpacks all blocks named `element` under `parent` into `values`, the highest score first, the later of
/// equal ones first; a value
/// that is already there stays. `first` is the id of a block that outranks all scores.
/// Returns whether any rule was seen.
pub fn unpack_blocks(
    doc: &Document,
    parent: Option<NodeId>,
    element: &str,
    first: Option<&str>,
    input: &RuleInput<'_>,
    next_change: &mut Option<Time>,
    values: &mut dyn FnMut(&str, Option<&str>),
) -> bool {
    let Some(parent) = parent else { return false };
    let mut blocks: Vec<NodeId> = doc
        .element(parent)
        .children()
        .filter(|c| c.name() == element)
        .filter_map(|c| resolve(doc, c.id()))
        .collect();
    // Of blocks with equal scores the last one counts.
    blocks.reverse();
    if blocks.len() > 1 {
        let health = Health::default();
        let score = |id: NodeId| doc.attr(id, "score").and_then(|s| parse_score(s, &health)).unwrap_or(0);
        merge_sort(&mut blocks, &mut |a, b| {
            if first.is_some() && doc.attr(a, "id") == first {
                return Ordering::Less;
            }
            if first.is_some() && doc.attr(b, "id") == first {
                return Ordering::Greater;
            }
            score(b).cmp(&score(a))
        });
    }
    let mut any_rule = false;
    for block in blocks {
        if let Some(rule) = doc.child(block, "rule") {
            any_rule = true;
            if evaluate(doc, rule, input, next_change) != Verdict::Satisfied {
                continue;
            }
        }
        let holder = doc.element(block).children().next().filter(|c| c.name() == "attributes");
        let holder = holder.map_or(block, |c| c.id());
        for pair in doc.element(holder).children().filter(|c| c.name() == "nvpair") {
            let Some(pair) = resolve(doc, pair.id()) else { continue };
            let (Some(name), Some(value)) = (doc.attr(pair, "name"), doc.attr(pair, "value")) else {
                continue;
            };
            let default = value.eq_ignore_ascii_case("#default");
            values(name, (!default).then_some(value));
        }
    }
    any_rule
}

/// [`unpack_blocks`] into a table.
pub fn unpack_table(
    doc: &Document,
    parent: Option<NodeId>,
    element: &str,
    input: &RuleInput<'_>,
    next_change: &mut Option<Time>,
    table: &mut Table,
) -> bool {
    unpack_blocks(doc, parent, element, None, input, next_change, &mut |name, value| match value {
        Some(value) if !table.contains(name) => table.set(name, value),
        Some(_) => {}
        None => table.remove(name),
    })
}

/// Boolean attribute of an element; `None` if absent or no boolean.
pub fn bool_attr(doc: &Document, node: NodeId, name: &str) -> Option<bool> {
    doc.attr(node, name).and_then(parse_bool)
}

/// A duration text is a period, for callers that hold only text.
pub fn period_seconds(text: &str) -> Option<i64> {
    Duration::parse(text).ok().map(|d| d.seconds_total())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso8601::Zone;

    fn utc(epoch_s: i64) -> Moment {
        Moment { epoch_s, zone: Zone::default() }
    }

    fn check(rule: &str, attrs: &[(&str, &str)], now: i64) -> Verdict {
        let doc = Document::parse(rule).unwrap();
        let attrs: FastMap<Str, Str> = attrs.iter().map(|(k, v)| (Str::from(*k), Str::from(*v))).collect();
        let input = RuleInput { node_attrs: Some(&attrs), ..RuleInput::at(utc(now)) };
        evaluate(&doc, doc.root(), &input, &mut None)
    }

    #[test]
    fn expressions() {
        let rule = "<rule id='r'><expression id='e' attribute='a' operation='eq' value='1'/></rule>";
        assert_eq!(check(rule, &[("a", "1")], 0), Verdict::Satisfied);
        assert_eq!(check(rule, &[("a", "2")], 0), Verdict::Unsatisfied);
        let rule = "<rule id='r' boolean-op='or'><expression id='e' attribute='a' operation='lt' value='10'/>\
                    <expression id='f' attribute='b' operation='defined'/></rule>";
        assert_eq!(check(rule, &[("a", "9")], 0), Verdict::Satisfied);
        assert_eq!(check(rule, &[("a", "11")], 0), Verdict::Unsatisfied);
        assert_eq!(check(rule, &[("a", "11"), ("b", "")], 0), Verdict::Satisfied);
    }

    #[test]
    fn ranges_and_their_next_change() {
        let doc = Document::parse(
            "<rule id='r'><date_expression id='d' operation='in_range' start='2005-06-01' end='2005-07-01'/></rule>",
        )
        .unwrap();
        let before = Time::parse("2005-05-01", Time::from_epoch(0, 0)).unwrap();
        let mut next = None;
        let verdict = evaluate(&doc, doc.root(), &RuleInput::at(utc(before.epoch())), &mut next);
        assert_eq!(verdict, Verdict::Unsatisfied);
        assert_eq!(next.unwrap().utc_text(), "2005-06-01 00:00:00Z");
    }

    #[test]
    fn date_specs() {
        let rule = "<rule id='r'><date_expression id='d' operation='date_spec'>\
                    <date_spec id='s' hours='9-16' weekdays='1-5'/></date_expression></rule>";
        let monday_ten = 1_700_474_400; // 2023-11-20 10:00 UTC
        assert_eq!(check(rule, &[], monday_ten), Verdict::Satisfied);
        assert_eq!(check(rule, &[], monday_ten - 86_400), Verdict::Unsatisfied);
    }
}
