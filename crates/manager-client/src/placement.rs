//! Constraints that move a resource: `cli-ban-…` and `cli-prefer-…`, with or without an end.
//! (crm_resource(8): --move, --ban, --clear.)

use xml::{Document, NodeId};

/// A move of one resource.
#[derive(Debug, Clone, Copy)]
pub struct Placement<'a> {
    pub resource: &'a str,
    pub node: &'a str,
    /// Only for this role; without, for all.
    pub role: Option<&'a str>,
    /// End of the constraint as ISO 8601; without, it stays until cleared.
    pub until: Option<&'a str>,
}

/// Keeps the resource off the node. Returns the constraint's id.
pub fn ban(doc: &mut Document, placement: &Placement<'_>) -> String {
    let id = format!("cli-ban-{}-on-{}", placement.resource, placement.node);
    let parts = [format!("{id}-rule"), format!("{id}-expr"), format!("{id}-lifetime")];
    put(doc, &id, &parts, "-INFINITY", placement);
    id
}

/// Pulls the resource to the node. Returns the constraint's id.
pub fn prefer(doc: &mut Document, placement: &Placement<'_>) -> String {
    let resource = placement.resource;
    let id = format!("cli-prefer-{resource}");
    let parts = [
        format!("cli-prefer-rule-{resource}"),
        format!("cli-prefer-expr-{resource}"),
        format!("cli-prefer-lifetime-end-{resource}"),
    ];
    put(doc, &id, &parts, "INFINITY", placement);
    id
}

fn constraints(doc: &mut Document) -> NodeId {
    let root = doc.root();
    let configuration = doc.child(root, "configuration").unwrap_or_else(|| doc.append(root, "configuration"));
    doc.child(configuration, "constraints").unwrap_or_else(|| doc.append(configuration, "constraints"))
}

fn put(doc: &mut Document, id: &str, parts: &[String; 3], score: &str, placement: &Placement<'_>) {
    let top = constraints(doc);
    if let Some(old) = doc.find_id(top, id) {
        doc.remove(old);
    }
    let role = placement.role.unwrap_or("Started");
    let element =
        doc.append_with(top, "rsc_location", &[("id", id), ("rsc", placement.resource), ("role", role)]);
    let Some(until) = placement.until else {
        doc.set_attr(element, "node", placement.node);
        doc.set_attr(element, "score", score);
        return;
    };
    let [rule_id, expression_id, end_id] = parts;
    let rule = doc.append_with(element, "rule", &[("id", rule_id), ("score", score), ("boolean-op", "and")]);
    doc.append_with(
        rule,
        "expression",
        &[
            ("id", expression_id),
            ("attribute", "#uname"),
            ("operation", "eq"),
            ("value", placement.node),
            ("type", "string"),
        ],
    );
    doc.append_with(rule, "date_expression", &[("id", end_id), ("operation", "lt"), ("end", until)]);
}

/// Removes what [`ban`] and [`prefer`] wrote for a resource, for one node or for all. Returns the ids.
pub fn clear(doc: &mut Document, resource: &str, node: Option<&str>) -> Vec<String> {
    let top = constraints(doc);
    let prefer = format!("cli-prefer-{resource}");
    let bans = format!("cli-ban-{resource}-on-");
    let mut removed = Vec::new();
    for constraint in doc.child_elements(top) {
        let id = doc.attr(constraint, "id").unwrap_or_default().to_string();
        let own = doc.attr(constraint, "rsc") == Some(resource);
        let fits = match node {
            _ if !own => false,
            None => id == prefer || id.starts_with(&bans),
            Some(node) => {
                id == format!("{bans}{node}") || (id == prefer && place_of(doc, constraint) == Some(node))
            }
        };
        if fits {
            doc.remove(constraint);
            removed.push(id);
        }
    }
    removed
}

/// The node that a constraint is about.
fn place_of(doc: &Document, constraint: NodeId) -> Option<&str> {
    doc.attr(constraint, "node").or_else(|| {
        let rule = doc.child(constraint, "rule")?;
        doc.attr(doc.child(rule, "expression")?, "value")
    })
}

/// Removes bans and preferences whose end has passed; `now` is ISO 8601 in UTC ("2026-11-22 17:25:57Z").
pub fn clear_expired(doc: &mut Document, resource: Option<&str>, now: &str) -> Vec<String> {
    let top = constraints(doc);
    let mut removed = Vec::new();
    for constraint in doc.child_elements(top) {
        let id = doc.attr(constraint, "id").unwrap_or_default().to_string();
        if !id.starts_with("cli-") || resource.is_some_and(|r| doc.attr(constraint, "rsc") != Some(r)) {
            continue;
        }
        let end = doc
            .child(constraint, "rule")
            .and_then(|rule| doc.child(rule, "date_expression"))
            .and_then(|date| doc.attr(date, "end"));
        // Both are written in one form, so their order as texts is their order in time.
        if end.is_some_and(|end| end <= now) {
            doc.remove(constraint);
            removed.push(id);
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ban_prefer_and_clear() {
        let mut doc = Document::parse("<cib><configuration><constraints/></configuration></cib>").unwrap();
        let end = "2026-11-22 17:25:57Z";
        let at = |node, until| Placement { resource: "A", node, role: None, until };
        assert_eq!(ban(&mut doc, &at("n1", None)), "cli-ban-A-on-n1");
        prefer(&mut doc, &at("n2", Some(end)));
        let text = doc.to_text();
        assert!(text.contains(
            "<rsc_location id=\"cli-ban-A-on-n1\" rsc=\"A\" role=\"Started\" node=\"n1\" score=\"-INFINITY\"/>"
        ));
        assert!(text.contains("operation=\"lt\" end=\"2026-11-22 17:25:57Z\""));
        assert!(clear_expired(&mut doc.clone(), None, "2026-11-22 17:25:56Z").is_empty());
        assert_eq!(clear_expired(&mut doc.clone(), Some("A"), end), ["cli-prefer-A"]);
        assert_eq!(clear(&mut doc.clone(), "A", Some("n2")), ["cli-prefer-A"]);
        assert_eq!(clear(&mut doc, "A", None), ["cli-ban-A-on-n1", "cli-prefer-A"]);
        assert!(clear(&mut doc, "A", None).is_empty());
    }
}
