//! Rules: from words to elements, and from elements to words. (Pacemaker Explained, "Rules".)

use xml::{Document, Element, NodeId};

use super::id;

/// A parsed condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Defined { attribute: String, not: bool },
    Compare { attribute: String, operation: String, kind: Option<String>, value: String },
    Before(String),
    After(String),
    InRange { start: Option<String>, end: Option<String>, duration: Vec<(String, String)> },
    DateSpec(Vec<(String, String)>),
}

const COMPARISONS: &[&str] = &["lt", "gt", "lte", "gte", "eq", "ne"];
const TYPES: &[&str] = &["string", "integer", "number", "version"];
const DATE_PARTS: &[&str] = &[
    "hours",
    "monthdays",
    "weekdays",
    "yearsdays",
    "yeardays",
    "months",
    "weeks",
    "years",
    "weekyears",
    "moon",
    "minutes",
    "seconds",
    "days",
];

/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 50;

/// Parses the words of a condition.
///
/// # Errors
/// A message that names the word at which the condition goes wrong.
pub fn parse(words: &[String]) -> Result<Condition, String> {
    let text = words.join(" ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = text.split_whitespace().collect();
    if tokens.is_empty() {
        return Err("no rule expression was specified".into());
    }
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    let condition = parser.any()?;
    match parser.peek() {
        None => Ok(condition),
        Some(word) => Err(format!("unexpected '{word}' in the rule expression")),
    }
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Result<&'a str, String> {
        let word = self.peek().ok_or("unexpected end of the rule expression")?;
        self.at += 1;
        Ok(word)
    }

    fn any(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all()?];
        while self.peek() == Some("or") {
            self.at += 1;
            parts.push(self.all()?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Condition::Any(parts),
        })
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.one()?];
        while self.peek() == Some("and") {
            self.at += 1;
            parts.push(self.one()?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Condition::All(parts),
        })
    }

    fn one(&mut self) -> Result<Condition, String> {
        match self.next()? {
            "(" => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(format!("parentheses nested deeper than {MAX_DEPTH} levels"));
                }
                let inner = self.any()?;
                self.depth -= 1;
                match self.next()? {
                    ")" => Ok(inner),
                    other => Err(format!("expected ')' instead of '{other}'")),
                }
            }
            word @ ("defined" | "not_defined") => {
                Ok(Condition::Defined { attribute: self.next()?.to_string(), not: word == "not_defined" })
            }
            "date" => self.date(),
            "date-spec" => Ok(Condition::DateSpec(self.parts()?)),
            attribute => self.compare(attribute),
        }
    }

    fn compare(&mut self, attribute: &str) -> Result<Condition, String> {
        let operation = self.next()?;
        if !COMPARISONS.contains(&operation) {
            return Err(format!(
                "'{operation}' is not a comparison, use {}",
                crate::report::quoted_list(COMPARISONS)
            ));
        }
        let word = self.next()?;
        let (kind, value) =
            if TYPES.contains(&word) && self.peek().is_some_and(|w| !matches!(w, "and" | "or" | ")")) {
                (Some(word.to_string()), self.next()?)
            } else {
                (None, word)
            };
        Ok(Condition::Compare {
            attribute: attribute.to_string(),
            operation: operation.to_string(),
            kind,
            value: value.to_string(),
        })
    }

    fn date(&mut self) -> Result<Condition, String> {
        match self.next()? {
            "gt" => Ok(Condition::After(self.next()?.to_string())),
            "lt" => Ok(Condition::Before(self.next()?.to_string())),
            "in_range" => {
                let first = self.next()?;
                let start = if first == "to" {
                    None
                } else {
                    let word = self.next()?;
                    if word != "to" {
                        return Err(format!("expected 'to' instead of '{word}'"));
                    }
                    Some(first.to_string())
                };
                if self.peek() == Some("duration") {
                    self.at += 1;
                    return Ok(Condition::InRange { start, end: None, duration: self.parts()? });
                }
                Ok(Condition::InRange { start, end: Some(self.next()?.to_string()), duration: Vec::new() })
            }
            other => Err(format!("'{other}' cannot follow 'date', use 'gt', 'in_range', 'lt'")),
        }
    }

    fn parts(&mut self) -> Result<Vec<(String, String)>, String> {
        let mut found = Vec::new();
        while let Some((name, value)) = self.peek().and_then(|w| w.split_once('=')) {
            if !DATE_PARTS.contains(&name) {
                return Err(format!("'{name}' is no part of a date"));
            }
            found.push((name.to_string(), value.to_string()));
            self.at += 1;
        }
        if found.is_empty() { Err("missing parts of a date".into()) } else { Ok(found) }
    }
}

/// Adds a rule below `owner`; `attributes` are those of `<rule>` itself (score, role).
pub fn build(
    doc: &mut Document,
    owner: NodeId,
    rule_id: Option<&str>,
    attributes: &[(&str, &str)],
    condition: &Condition,
) -> NodeId {
    let base = format!("{}-rule", doc.attr(owner, "id").unwrap_or_default());
    let rule_id = rule_id.map_or_else(|| id::unique(doc, &base), str::to_string);
    let rule = doc.append_with(owner, "rule", &[("id", &rule_id)]);
    for (name, value) in attributes {
        doc.set_attr(rule, name, value);
    }
    match condition {
        Condition::All(parts) => fill(doc, rule, "and", parts),
        Condition::Any(parts) => fill(doc, rule, "or", parts),
        single => expression(doc, rule, single),
    }
    rule
}

fn fill(doc: &mut Document, rule: NodeId, operator: &str, parts: &[Condition]) {
    doc.set_attr(rule, "boolean-op", operator);
    for part in parts {
        expression(doc, rule, part);
    }
}

fn expression(doc: &mut Document, rule: NodeId, condition: &Condition) {
    let rule_id = doc.attr(rule, "id").unwrap_or_default().to_string();
    let id = id::unique(doc, &format!("{rule_id}-expr"));
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            let id = id::unique(doc, &format!("{rule_id}-rule"));
            let inner = doc.append_with(rule, "rule", &[("id", &id)]);
            fill(doc, inner, if matches!(condition, Condition::All(_)) { "and" } else { "or" }, parts);
        }
        Condition::Defined { attribute, not } => {
            let operation = if *not { "not_defined" } else { "defined" };
            doc.append_with(
                rule,
                "expression",
                &[("id", &id), ("operation", operation), ("attribute", attribute)],
            );
        }
        Condition::Compare { attribute, operation, kind, value } => {
            let element = doc.append_with(
                rule,
                "expression",
                &[("id", &id), ("operation", operation), ("attribute", attribute)],
            );
            if let Some(kind) = kind {
                doc.set_attr(element, "type", kind);
            }
            doc.set_attr(element, "value", value);
        }
        Condition::After(start) => {
            doc.append_with(rule, "date_expression", &[("id", &id), ("operation", "gt"), ("start", start)]);
        }
        Condition::Before(end) => {
            doc.append_with(rule, "date_expression", &[("id", &id), ("operation", "lt"), ("end", end)]);
        }
        Condition::InRange { start, end, duration } => {
            let element = doc.append_with(rule, "date_expression", &[("id", &id), ("operation", "in_range")]);
            for (name, value) in [("start", start), ("end", end)] {
                if let Some(value) = value {
                    doc.set_attr(element, name, value);
                }
            }
            if !duration.is_empty() {
                date_parts(doc, element, "duration", duration);
            }
        }
        Condition::DateSpec(parts) => {
            let element =
                doc.append_with(rule, "date_expression", &[("id", &id), ("operation", "date_spec")]);
            date_parts(doc, element, "date_spec", parts);
        }
    }
}

fn date_parts(doc: &mut Document, owner: NodeId, name: &str, parts: &[(String, String)]) {
    let base =
        format!("{}-{}", doc.attr(owner, "id").unwrap_or_default(), name.replace("date_spec", "datespec"));
    let id = id::unique(doc, &base);
    let element = doc.append_with(owner, name, &[("id", &id)]);
    for (key, value) in parts {
        doc.set_attr(element, key, value);
    }
}

/// Lines that describe a rule and what is in it.
pub fn lines(rule: Element<'_>, full: bool, indent: usize) -> Vec<String> {
    let pad = " ".repeat(indent);
    let mut head: Vec<String> = Vec::new();
    let several = rule.children().count() > 1;
    for (name, value) in rule.attrs() {
        match name {
            "id" | "boolean-op" => {}
            _ => head.push(format!("{name}={value}")),
        }
    }
    if several {
        let operator = rule.attr("boolean-op").unwrap_or("and");
        head.push(format!("boolean-op={operator}"));
    }
    head.sort();
    let mut all = vec![with_id(format!("{pad}Rule: {}", head.join(" ")).trim_end().to_string(), rule, full)];
    for child in rule.children() {
        match child.name() {
            "rule" => all.extend(lines(child, full, indent + 2)),
            "expression" => {
                all.push(with_id(format!("{pad}  Expression: {}", expression_text(child)), child, full))
            }
            "date_expression" => all.extend(date_lines(child, full, indent + 2)),
            _ => {}
        }
    }
    all
}

fn with_id(text: String, element: Element<'_>, full: bool) -> String {
    match element.attr("id").filter(|_| full) {
        Some(id) => format!("{text} (id:{id})"),
        None => text,
    }
}

fn expression_text(element: Element<'_>) -> String {
    let attribute = element.attr("attribute").unwrap_or_default();
    let operation = element.attr("operation").unwrap_or_default();
    let Some(value) = element.attr("value") else { return format!("{operation} {attribute}") };
    let kind = element.attr("type").map(|t| format!("{t} ")).unwrap_or_default();
    let quoted = if value.contains(' ') { format!("\"{value}\"") } else { value.to_string() };
    format!("{attribute} {operation} {kind}{quoted}")
}

fn date_lines(element: Element<'_>, full: bool, indent: usize) -> Vec<String> {
    let pad = " ".repeat(indent);
    let parts = |name: &str| {
        element.child(name).map(|e| {
            let list: Vec<String> =
                e.attrs().filter(|(k, _)| *k != "id").map(|(k, v)| format!("{k}={v}")).collect();
            (e, list.join(" "))
        })
    };
    let date = |name: &str| element.attr(name).unwrap_or_default();
    let text = match element.attr("operation").unwrap_or_default() {
        "date_spec" => {
            let mut all = vec![with_id(format!("{pad}Expression:"), element, full)];
            if let Some((spec, text)) = parts("date_spec") {
                all.push(with_id(format!("{pad}  Date Spec: {text}"), spec, full));
            }
            return all;
        }
        "in_range" => {
            let start = element.attr("start").map(|s| format!("{s} ")).unwrap_or_default();
            if let Some((duration, text)) = parts("duration") {
                return vec![
                    with_id(format!("{pad}Expression: date in_range {start}to duration"), element, full),
                    with_id(format!("{pad}  Duration: {text}"), duration, full),
                ];
            }
            format!("date in_range {start}to {}", date("end"))
        }
        "lt" => format!("date lt {}", date("end")),
        operation => format!("date {operation} {}", date("start")),
    };
    vec![with_id(format!("{pad}Expression: {text}"), element, full)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_string).collect()
    }

    #[test]
    fn and_binds_tighter_than_or() {
        let parsed = parse(&words("#uname eq a or ( b lt integer 3 and defined c )")).unwrap();
        let Condition::Any(parts) = parsed else { panic!("not an or: {parsed:?}") };
        assert!(matches!(parts.as_slice(), [Condition::Compare { .. }, Condition::All(_)]));
    }

    #[test]
    fn wrong_rules_are_refused() {
        for text in
            ["a", "a equals b", "( a eq b", "a eq b )", "date on 2020", "date-spec", "date in_range a b"]
        {
            assert!(parse(&words(text)).is_err(), "{text}");
        }
        assert!(parse(&words(&format!("{}a eq b", "( ".repeat(1000)))).is_err());
    }

    #[test]
    fn built_rules_read_back() {
        let mut doc = Document::parse("<rsc_location id='l'/>").unwrap();
        let root = doc.root();
        let condition = parse(&words("#uname eq n1 and date gt 2020-01-01")).unwrap();
        build(&mut doc, root, None, &[("score", "INFINITY")], &condition);
        let rule = doc.root_element().child("rule").unwrap();
        assert_eq!(
            lines(rule, true, 0),
            [
                "Rule: boolean-op=and score=INFINITY (id:l-rule)",
                "  Expression: #uname eq n1 (id:l-rule-expr)",
                "  Expression: date gt 2020-01-01 (id:l-rule-expr-1)",
            ]
        );
    }
}
