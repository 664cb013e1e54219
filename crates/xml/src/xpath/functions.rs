//! The core function library (XPath 1.0, section 4).

use super::XPathError;
use super::eval::Context;
use super::value::{Match, Value, text_to_number};
use crate::Document;

pub(super) fn call(
    doc: &Document,
    context: &Context,
    name: &str,
    arguments: &[Value],
) -> Result<Value, XPathError> {
    let wrong = || XPathError::Arguments(name.to_string());
    let (least, most) = arity(name).ok_or_else(|| XPathError::UnknownFunction(name.to_string()))?;
    if arguments.len() < least || arguments.len() > most {
        return Err(wrong());
    }
    let text = |index: usize| match arguments.get(index) {
        Some(value) => value.to_text(doc),
        None => context.node.text(doc),
    };
    let number = |index: usize| arguments.get(index).map_or(f64::NAN, |value| value.to_number(doc));
    let nodes = |index: usize| match arguments.get(index) {
        Some(Value::Nodes(nodes)) => Ok(nodes.as_slice()),
        _ => Err(wrong()),
    };
    Ok(match name {
        "last" => Value::Number(context.size as f64),
        "position" => Value::Number(context.position as f64),
        "count" => Value::Number(nodes(0)?.len() as f64),
        "sum" => Value::Number(nodes(0)?.iter().map(|n| text_to_number(&n.text(doc))).sum()),
        "id" => Value::Nodes(by_id(doc, arguments)),
        "name" | "local-name" => {
            let node = if arguments.is_empty() { Some(context.node) } else { nodes(0)?.first().copied() };
            let full = node.map_or_else(String::new, |n| n.name(doc));
            let local = full.rsplit(':').next().unwrap_or("").to_string();
            Value::Text(if name == "name" { full } else { local })
        }
        "namespace-uri" => Value::Text(String::new()),
        "string" => Value::Text(text(0)),
        "concat" => Value::Text(arguments.iter().map(|value| value.to_text(doc)).collect()),
        "starts-with" => Value::Bool(text(0).starts_with(&text(1))),
        "contains" => Value::Bool(text(0).contains(&text(1))),
        "substring-before" => Value::Text(
            text(0).split_once(&text(1)).map_or_else(String::new, |(before, _)| before.to_string()),
        ),
        "substring-after" => {
            Value::Text(text(0).split_once(&text(1)).map_or_else(String::new, |(_, after)| after.to_string()))
        }
        "substring" => Value::Text(substring(&text(0), number(1), arguments.get(2).map(|_| number(2)))),
        "string-length" => Value::Number(text(0).chars().count() as f64),
        "normalize-space" => Value::Text(text(0).split_whitespace().collect::<Vec<_>>().join(" ")),
        "translate" => Value::Text(translate(&text(0), &text(1), &text(2))),
        "boolean" => Value::Bool(arguments[0].to_bool()),
        "not" => Value::Bool(!arguments[0].to_bool()),
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "lang" => Value::Bool(false),
        "number" if arguments.is_empty() => Value::Number(text_to_number(&context.node.text(doc))),
        "number" => Value::Number(number(0)),
        "floor" => Value::Number(number(0).floor()),
        "ceiling" => Value::Number(number(0).ceil()),
        "round" => Value::Number((number(0) + 0.5).floor()),
        other => return Err(XPathError::UnknownFunction(other.to_string())),
    })
}

fn arity(name: &str) -> Option<(usize, usize)> {
    Some(match name {
        "last" | "position" | "true" | "false" => (0, 0),
        "name" | "local-name" | "namespace-uri" | "string" | "string-length" | "normalize-space"
        | "number" => (0, 1),
        "count" | "sum" | "id" | "boolean" | "not" | "lang" | "floor" | "ceiling" | "round" => (1, 1),
        "starts-with" | "contains" | "substring-before" | "substring-after" => (2, 2),
        "substring" => (2, 3),
        "translate" => (3, 3),
        "concat" => (2, usize::MAX),
        _ => return None,
    })
}

/// Elements by their `id` attribute, as the schemas declare it.
fn by_id(doc: &Document, arguments: &[Value]) -> Vec<Match> {
    let texts: Vec<String> = match arguments.first() {
        Some(Value::Nodes(nodes)) => nodes.iter().map(|node| node.text(doc)).collect(),
        Some(value) => vec![value.to_text(doc)],
        None => Vec::new(),
    };
    let wanted: Vec<&str> = texts.iter().flat_map(|text| text.split_whitespace()).collect();
    let elements = doc.root_element().descendants();
    elements
        .filter(|e| e.attr("id").is_some_and(|id| wanted.contains(&id)))
        .map(|e| Match::Node(e.id()))
        .collect()
}

/// Characters whose position p (from 1) fulfils round(start) ≤ p < round(start) + round(length).
fn substring(text: &str, start: f64, length: Option<f64>) -> String {
    let round = |x: f64| (x + 0.5).floor();
    let from = round(start);
    let to = length.map_or(f64::INFINITY, |l| from + round(l));
    let inside = |p: usize| {
        let p = p as f64 + 1.0;
        p >= from && p < to
    };
    text.chars().enumerate().filter(|(p, _)| inside(*p)).map(|(_, c)| c).collect()
}

fn translate(text: &str, from: &str, to: &str) -> String {
    let to: Vec<char> = to.chars().collect();
    text.chars()
        .filter_map(|c| match from.chars().position(|f| f == c) {
            Some(index) => to.get(index).copied(),
            None => Some(c),
        })
        .collect()
}
