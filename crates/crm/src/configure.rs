//! Objects of crm's language to elements: `primitive`, `group`, `clone`, `location` and so on.

use xml::{Document, NodeId};

use crate::render;

/// What a line of the configure level did, or why not.
pub type Change = Result<(), String>;

/// Words that make or change objects.
pub const WORDS: &[&str] = &[
    "primitive",
    "group",
    "clone",
    "ms",
    "master",
    "location",
    "colocation",
    "collocation",
    "order",
    "property",
    "rsc_defaults",
    "op_defaults",
    "delete",
    "remove",
    "rename",
];

/// Carries out one line on a configuration.
///
/// # Errors
/// The message for the user; the configuration may then be half changed and is to be thrown away.
pub fn apply(doc: &mut Document, words: &[String]) -> Change {
    let (verb, rest) = words.split_first().ok_or("nothing to do")?;
    match verb.as_str() {
        "primitive" => primitive(doc, rest),
        "group" => group(doc, rest),
        "clone" => clone(doc, rest, false),
        "ms" | "master" => clone(doc, rest, true),
        "location" => location(doc, rest),
        "colocation" | "collocation" => colocation(doc, rest),
        "order" => order(doc, rest),
        "property" => property(doc, rest),
        "rsc_defaults" | "op_defaults" => defaults(doc, verb, rest),
        "delete" | "remove" => rest.iter().filter(|w| *w != "--force").try_for_each(|id| delete(doc, id)),
        "rename" => match rest {
            [old, new] => rename(doc, old, new),
            _ => Err("syntax in rename: rename <old_id> <new_id>".into()),
        },
        other => Err(format!("{other}: No such command")),
    }
}

fn syntax(what: &str, words: &[String]) -> String {
    format!("syntax in {what}: {what} {}", words.join(" "))
}

fn section(doc: &mut Document, name: &str) -> NodeId {
    let root = doc.root();
    let configuration = doc.child(root, "configuration").unwrap_or_else(|| doc.append(root, "configuration"));
    doc.child(configuration, name).unwrap_or_else(|| doc.append(configuration, name))
}

fn exists(doc: &Document, id: &str) -> bool {
    doc.child(doc.root(), "configuration").is_some_and(|c| {
        doc.element(c)
            .descendants()
            .any(|e| e.attr("id") == Some(id) && !matches!(e.name(), "resource_ref" | "obj_ref"))
    })
}

fn fresh(doc: &Document, id: &str) -> Change {
    let mut chars = id.chars();
    let first = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_');
    if !first || chars.any(|c| !(c.is_alphanumeric() || "_-.".contains(c))) {
        return Err(format!("bad syntax: {id} is not a valid id"));
    }
    if exists(doc, id) {
        return Err(format!("{id} is already in use"));
    }
    Ok(())
}

fn unique(doc: &Document, base: &str) -> String {
    let base: String =
        base.chars().map(|c| if c.is_alphanumeric() || "_-.".contains(c) { c } else { '_' }).collect();
    let mut id = base.clone();
    let mut n = 0;
    while exists(doc, &id) {
        n += 1;
        id = format!("{base}-{n}");
    }
    id
}

fn resource(doc: &Document, id: &str) -> Result<NodeId, String> {
    let kinds = ["primitive", "group", "clone", "master", "bundle", "template"];
    render::objects(doc)
        .into_iter()
        .find(|o| o.attr("id") == Some(id) && kinds.contains(&o.name()))
        .map(|o| o.id())
        .ok_or_else(|| format!("object {id} does not exist"))
}

fn add_pairs(doc: &mut Document, owner: NodeId, kind: &str, words: &[String]) -> Change {
    if words.is_empty() {
        return Ok(());
    }
    let set = match doc.child(owner, kind) {
        Some(set) => set,
        None => {
            let base = format!("{}-{kind}", doc.attr(owner, "id").unwrap_or_default());
            let id = unique(doc, &base);
            doc.append_with(owner, kind, &[("id", &id)])
        }
    };
    words.iter().try_for_each(|word| put_pair(doc, set, word))
}

fn put_pair(doc: &mut Document, set: NodeId, word: &str) -> Change {
    let (name, value) =
        word.split_once('=').ok_or_else(|| format!("bad syntax: expected name=value, got '{word}'"))?;
    if name.is_empty() {
        return Err(format!("bad syntax: '{word}' has no name"));
    }
    let existing = doc.element(set).children().find(|p| p.attr("name") == Some(name)).map(|p| p.id());
    match existing {
        Some(pair) => doc.set_attr(pair, "value", value),
        None => {
            let id = unique(doc, &format!("{}-{name}", doc.attr(set, "id").unwrap_or_default()));
            doc.append_with(set, "nvpair", &[("name", name), ("value", value), ("id", &id)]);
        }
    }
    Ok(())
}

/// Splits words at keywords: what comes before the first, then each keyword with its words.
fn parts<'a>(words: &'a [String], keywords: &[&str]) -> (&'a [String], Vec<(&'a str, &'a [String])>) {
    let starts: Vec<usize> =
        words.iter().enumerate().filter(|(_, w)| keywords.contains(&w.as_str())).map(|(i, _)| i).collect();
    let first = words.get(..starts.first().copied().unwrap_or(words.len())).unwrap_or_default();
    let mut found = Vec::new();
    for (n, start) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(words.len());
        if let (Some(keyword), Some(rest)) = (words.get(*start), words.get(start + 1..end)) {
            found.push((keyword.as_str(), rest));
        }
    }
    (first, found)
}

fn primitive(doc: &mut Document, words: &[String]) -> Change {
    let (head, rest) = parts(words, &["params", "meta", "utilization", "op", "operations"]);
    let [id, agent, direct @ ..] = head else { return Err(syntax("primitive", words)) };
    fresh(doc, id)?;
    let top = section(doc, "resources");
    let element = doc.append_with(top, "primitive", &[("id", id)]);
    let names: Vec<&str> = agent.split(':').collect();
    match names.as_slice() {
        [kind] => set_agent(doc, element, "ocf", Some("heartbeat"), kind),
        ["ocf", provider, kind] => set_agent(doc, element, "ocf", Some(provider), kind),
        [class, kind] => set_agent(doc, element, class, None, kind),
        _ => return Err(format!("{agent}: no such resource agent")),
    }
    add_pairs(doc, element, "instance_attributes", direct)?;
    let mut operations = None;
    for (keyword, given) in rest {
        match keyword {
            "params" => add_pairs(doc, element, "instance_attributes", given)?,
            "meta" => add_pairs(doc, element, "meta_attributes", given)?,
            "utilization" => add_pairs(doc, element, "utilization", given)?,
            "op" => {
                let list = *operations.get_or_insert_with(|| doc.append(element, "operations"));
                operation(doc, list, id, given)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn set_agent(doc: &mut Document, element: NodeId, class: &str, provider: Option<&str>, kind: &str) {
    doc.set_attr(element, "class", class);
    if let Some(provider) = provider {
        doc.set_attr(element, "provider", provider);
    }
    doc.set_attr(element, "type", kind);
}

fn operation(doc: &mut Document, list: NodeId, resource: &str, words: &[String]) -> Change {
    let (name, options) = words.split_first().ok_or("syntax: op needs an operation name")?;
    let interval = options.iter().find_map(|w| w.strip_prefix("interval=")).unwrap_or(if name == "monitor" {
        "60s"
    } else {
        "0s"
    });
    let id = unique(doc, &format!("{resource}-{name}-{interval}"));
    let element = doc.append_with(list, "op", &[("name", name), ("interval", interval)]);
    for word in options {
        let (key, value) =
            word.split_once('=').ok_or_else(|| format!("bad syntax: '{word}' in op {name}"))?;
        doc.set_attr(element, key, value);
    }
    doc.set_attr(element, "id", &id);
    Ok(())
}

fn group(doc: &mut Document, words: &[String]) -> Change {
    let (head, rest) = parts(words, &["meta", "params"]);
    let [id, members @ ..] = head else { return Err(syntax("group", words)) };
    if members.is_empty() {
        return Err(syntax("group", words));
    }
    fresh(doc, id)?;
    let nodes: Vec<NodeId> = members.iter().map(|m| resource(doc, m)).collect::<Result<_, _>>()?;
    for (node, name) in nodes.iter().zip(members) {
        if doc.name(*node) != "primitive" {
            return Err(format!("{name} is not a primitive: only primitives go into a group"));
        }
        if doc.parent(*node).is_some_and(|p| doc.name(p) != "resources") {
            return Err(format!("child {name} listed in group {id} is in another resource already"));
        }
    }
    let top = section(doc, "resources");
    let element = doc.append_with(top, "group", &[("id", id)]);
    for (keyword, given) in rest {
        let kind = if keyword == "meta" { "meta_attributes" } else { "instance_attributes" };
        add_pairs(doc, element, kind, given)?;
    }
    nodes.into_iter().for_each(|n| doc.move_to(n, element, None));
    Ok(())
}

fn clone(doc: &mut Document, words: &[String], promotable: bool) -> Change {
    let (head, rest) = parts(words, &["meta", "params"]);
    let [id, inner] = head else { return Err(syntax("clone", words)) };
    fresh(doc, id)?;
    let node = resource(doc, inner)?;
    if doc.parent(node).is_some_and(|p| doc.name(p) != "resources") {
        return Err(format!("{inner} is in another resource already"));
    }
    let top = section(doc, "resources");
    let element = doc.append_with(top, "clone", &[("id", id)]);
    if promotable {
        add_pairs(doc, element, "meta_attributes", &["promotable=true".to_string()])?;
    }
    for (keyword, given) in rest {
        let kind = if keyword == "meta" { "meta_attributes" } else { "instance_attributes" };
        add_pairs(doc, element, kind, given)?;
    }
    doc.move_to(node, element, None);
    Ok(())
}

/// `inf:`, `-100:` or a kind.
fn score(word: &str) -> Option<String> {
    let text = word.strip_suffix(':')?;
    let sign = if text.starts_with('-') { "-" } else { "" };
    match text.trim_start_matches(['-', '+']).to_lowercase().as_str() {
        "inf" | "infinity" => Some(format!("{sign}INFINITY")),
        number if number.parse::<i64>().is_ok() => Some(format!("{sign}{number}")),
        _ => None,
    }
}

fn location(doc: &mut Document, words: &[String]) -> Change {
    let [id, what, rest @ ..] = words else { return Err(syntax("location", words)) };
    fresh(doc, id)?;
    let pattern = what.strip_prefix('/').and_then(|w| w.strip_suffix('/'));
    if pattern.is_none() {
        resource(doc, what)?;
    }
    let (options, rest): (Vec<&String>, Vec<&String>) = rest.iter().partition(|w| w.contains('='));
    let [points, node] = rest.as_slice() else { return Err(syntax("location", words)) };
    let points = score(points).ok_or_else(|| format!("invalid score '{points}'"))?;
    let top = section(doc, "constraints");
    let name = if pattern.is_some() { "rsc-pattern" } else { "rsc" };
    let element = doc.append_with(top, "rsc_location", &[("id", id), (name, pattern.unwrap_or(what))]);
    for option in options {
        if let Some((key, value)) = option.split_once('=') {
            doc.set_attr(element, key, value);
        }
    }
    doc.set_attr(element, "score", &points);
    doc.set_attr(element, "node", node);
    Ok(())
}

fn named(doc: &Document, word: &str) -> Result<(String, Option<String>), String> {
    let (id, suffix) = word.split_once(':').map_or((word, None), |(i, s)| (i, Some(s.to_string())));
    resource(doc, id)?;
    Ok((id.to_string(), suffix))
}

fn colocation(doc: &mut Document, words: &[String]) -> Change {
    let [id, points, first, second, rest @ ..] = words else { return Err(syntax("colocation", words)) };
    fresh(doc, id)?;
    let points = score(points).ok_or_else(|| format!("invalid score '{points}'"))?;
    let (first, first_role) = named(doc, first)?;
    let (second, second_role) = named(doc, second)?;
    let top = section(doc, "constraints");
    let element = doc.append_with(top, "rsc_colocation", &[("id", id), ("score", &points), ("rsc", &first)]);
    if let Some(role) = first_role {
        doc.set_attr(element, "rsc-role", &role);
    }
    doc.set_attr(element, "with-rsc", &second);
    if let Some(role) = second_role {
        doc.set_attr(element, "with-rsc-role", &role);
    }
    attributes(doc, element, rest)
}

fn attributes(doc: &mut Document, element: NodeId, words: &[String]) -> Change {
    for word in words {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("bad syntax: '{word}'"))?;
        doc.set_attr(element, key, value);
    }
    Ok(())
}

fn order(doc: &mut Document, words: &[String]) -> Change {
    let [id, rest @ ..] = words else { return Err(syntax("order", words)) };
    fresh(doc, id)?;
    let (kind, rest) = match rest.split_first() {
        Some((first, others)) if first.ends_with(':') => (Some(first), others),
        _ => (None, rest),
    };
    let [first, then, options @ ..] = rest else { return Err(syntax("order", words)) };
    let (first, first_action) = named(doc, first)?;
    let (then, then_action) = named(doc, then)?;
    let top = section(doc, "constraints");
    let element = doc.append_with(top, "rsc_order", &[("id", id)]);
    if let Some(kind) = kind {
        let word = kind.trim_end_matches(':');
        match (
            score(kind),
            ["Mandatory", "Optional", "Serialize"].iter().find(|k| k.eq_ignore_ascii_case(word)),
        ) {
            (_, Some(known)) => doc.set_attr(element, "kind", known),
            (Some(points), None) => doc.set_attr(element, "score", &points),
            (None, None) => {
                return Err(format!("invalid kind '{word}', use Mandatory, Optional or Serialize"));
            }
        }
    }
    doc.set_attr(element, "first", &first);
    if let Some(action) = first_action {
        doc.set_attr(element, "first-action", &action);
    }
    doc.set_attr(element, "then", &then);
    if let Some(action) = then_action {
        doc.set_attr(element, "then-action", &action);
    }
    attributes(doc, element, options)
}

fn property(doc: &mut Document, words: &[String]) -> Change {
    let words: Vec<&String> = words.iter().filter(|w| !w.ends_with(':')).collect();
    if words.is_empty() {
        return Err("syntax in property: property <option>=<value> ...".into());
    }
    let config = section(doc, "crm_config");
    let set = match doc.child(config, "cluster_property_set") {
        Some(set) => set,
        None => doc.append_with(config, "cluster_property_set", &[("id", "cib-bootstrap-options")]),
    };
    words.into_iter().try_for_each(|w| put_pair(doc, set, w))
}

fn defaults(doc: &mut Document, name: &str, words: &[String]) -> Change {
    let words: Vec<&String> = words.iter().filter(|w| !w.ends_with(':')).collect();
    if words.is_empty() {
        return Err(format!("syntax in {name}: {name} <option>=<value> ..."));
    }
    let owner = section(doc, name);
    let set = match doc.child(owner, "meta_attributes") {
        Some(set) => set,
        None => {
            let id = unique(doc, if name == "rsc_defaults" { "rsc-options" } else { "op-options" });
            doc.append_with(owner, "meta_attributes", &[("id", &id)])
        }
    };
    words.into_iter().try_for_each(|w| put_pair(doc, set, w))
}

/// Removes an object with the constraints that speak of it; what it wraps stays, what is left empty goes.
fn delete(doc: &mut Document, id: &str) -> Change {
    let found = render::objects(doc)
        .into_iter()
        .find(|o| o.attr("id") == Some(id))
        .map(|o| o.id())
        .ok_or_else(|| format!("object {id} does not exist"))?;
    let is_resource = matches!(doc.name(found), "primitive" | "group" | "clone" | "master" | "bundle");
    if is_resource {
        let top = section(doc, "constraints");
        for constraint in doc.child_elements(top) {
            let single =
                ["rsc", "with-rsc", "first", "then"].iter().any(|a| doc.attr(constraint, a) == Some(id));
            let in_set = doc
                .element(constraint)
                .descendants()
                .any(|e| e.name() == "resource_ref" && e.attr("id") == Some(id));
            if single || in_set {
                doc.remove(constraint);
            }
        }
        let resources = section(doc, "resources");
        for inner in doc.child_elements(found) {
            if matches!(doc.name(inner), "primitive" | "group") {
                doc.move_to(inner, resources, Some(found));
            }
        }
    }
    let outer = doc.parent(found);
    doc.remove(found);
    if let Some(outer) = outer.filter(|o| matches!(doc.name(*o), "group" | "clone" | "master")) {
        let left = doc.element(outer).children().any(|c| matches!(c.name(), "primitive" | "group"));
        if !left {
            let id = doc.attr(outer, "id").unwrap_or_default().to_string();
            return delete(doc, &id);
        }
    }
    Ok(())
}

fn rename(doc: &mut Document, old: &str, new: &str) -> Change {
    fresh(doc, new)?;
    if !exists(doc, old) {
        return Err(format!("object {old} does not exist"));
    }
    let Some(top) = doc.child(doc.root(), "configuration") else {
        return Err("there is no configuration".into());
    };
    let nodes: Vec<NodeId> = doc.element(top).descendants().map(|e| e.id()).collect();
    for node in nodes {
        for name in ["id", "rsc", "with-rsc", "first", "then"] {
            if doc.attr(node, name) == Some(old) {
                doc.set_attr(node, name, new);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Document {
        Document::parse("<cib><configuration><resources/><constraints/></configuration></cib>").unwrap()
    }

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_string).collect()
    }

    fn run(doc: &mut Document, line: &str) -> Change {
        apply(doc, &words(line))
    }

    #[test]
    fn written_and_shown_are_the_same() {
        let mut doc = empty();
        let lines = [
            "primitive A ocf:pacemaker:Dummy params fake=1 op monitor interval=20s meta target-role=Stopped",
            "primitive B IPaddr2 params ip=10.0.0.1",
            "primitive S ocf:pacemaker:Stateful",
            "group G A B",
            "ms M S meta interleave=true",
            "location l1 G 100: n1",
            "colocation c1 inf: G M:Promoted",
            "order o1 Mandatory: M:promote G:start symmetrical=false",
            "property stonith-enabled=false",
            "rsc_defaults resource-stickiness=10",
        ];
        for line in lines {
            run(&mut doc, line).unwrap();
        }
        let text = render::all(&doc);
        for expected in [
            "primitive A ocf:pacemaker:Dummy \\\n\tparams fake=1 \\\n\top monitor interval=20s \\\n\tmeta target-role=Stopped\n",
            "group G A B\n",
            "clone M S \\\n\tmeta promotable=true interleave=true\n",
            "location l1 G 100: n1\n",
            "colocation c1 inf: G M:Promoted\n",
            "order o1 Mandatory: M:promote G:start symmetrical=false\n",
            "property cib-bootstrap-options: \\\n\tstonith-enabled=false\n",
        ] {
            assert!(text.contains(expected), "{expected} not in\n{text}");
        }
        run(&mut doc, "delete G").unwrap();
        let text = render::all(&doc);
        assert!(!text.contains("l1") && !text.contains("c1") && text.contains("primitive A"));
    }

    #[test]
    fn bad_input_is_refused() {
        let mut doc = empty();
        run(&mut doc, "primitive A ocf:pacemaker:Dummy").unwrap();
        for line in [
            "primitive A ocf:pacemaker:Dummy",
            "primitive 1A Dummy",
            "primitive B",
            "primitive B a:b:c:d",
            "primitive B Dummy params x",
            "group G nope",
            "location l A n1",
            "location l A x: n1",
            "location l nope 1: n1",
            "order o Perhaps: A A",
            "colocation c inf: A",
            "delete nope",
            "nonsense",
            "property",
        ] {
            assert!(run(&mut doc.clone(), line).is_err(), "{line}");
        }
    }
}
