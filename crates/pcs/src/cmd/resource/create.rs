//! `pcs resource create`.

use xml::{Document, NodeId};

use super::{change_and_wait, missing};
use crate::agent::{self, Library, Metadata};
use crate::context::Context;
use crate::model::{find, id, nvset, resources, role};
use crate::report::{Failure, Issue, Issues, Message, Outcome};
use crate::words::{self, Pairs, groups, joined};

const KEYWORDS: &[&str] = &["op", "meta", "clone", "promotable", "bundle"];

/// A primitive as the user described it.
#[derive(Debug, Clone, Default)]
pub struct NewPrimitive {
    pub id: String,
    pub agent: String,
    pub options: Pairs,
    pub meta: Pairs,
    pub operations: Vec<Pairs>,
    pub disabled: bool,
    pub default_operations: bool,
    /// "resource" or "stonith": how messages call it.
    pub noun: &'static str,
}

/// Where the new primitive goes.
enum Place {
    Top,
    Clone { id: Option<String>, meta: Pairs },
    Group { id: String, beside: Option<(String, bool)> },
}

pub(super) fn create(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [resource_id, agent, rest @ ..] = words else { return Err(Failure::USAGE) };
    let (options, groups) = groups(rest, KEYWORDS);
    let place = place(context, &groups)?;
    let new = NewPrimitive {
        id: resource_id.clone(),
        agent: agent.clone(),
        options: words::pairs(&options)?,
        meta: words::pairs(&joined(&groups, "meta"))?,
        operations: operations(&groups)?,
        disabled: context.options.has("--disabled"),
        default_operations: !context.options.has("--no-default-ops"),
        noun: "resource",
    };
    change_and_wait(context, std::slice::from_ref(resource_id), |context, doc| {
        let metadata = metadata(context, agent)?;
        let primitive = add_primitive(context, doc, &new, &metadata)?;
        put(context, doc, primitive, &place)
    })
}

/// Reads the groups of `op`: each operation is a name with at least one option.
///
/// # Errors
/// When a name or the options are missing.
pub(crate) fn operations(groups: &[(&str, Vec<&str>)]) -> Result<Vec<Pairs>, Failure> {
    let incomplete =
        || Failure::usage("When using 'op' you must specify an operation name and at least one option");
    let mut all: Vec<Vec<String>> = Vec::new();
    for (_, words) in groups.iter().filter(|(keyword, _)| *keyword == "op") {
        match words.first() {
            None => return Err(incomplete()),
            Some(first) if first.contains('=') => {
                return Err(Failure::usage("When using 'op' you must specify an operation name after 'op'"));
            }
            Some(_) => {}
        }
        for word in words {
            if word.contains('=') {
                if let Some(last) = all.last_mut() {
                    last.push((*word).to_string());
                }
            } else {
                all.push(vec![format!("name={word}")]);
            }
        }
    }
    if all.iter().any(|operation| operation.len() < 2) {
        return Err(incomplete());
    }
    all.iter().map(|operation| words::pairs(operation)).collect()
}

fn place(context: &Context<'_>, groups: &[(&str, Vec<&str>)]) -> Result<Place, Failure> {
    let has = |keyword: &str| groups.iter().any(|(k, _)| *k == keyword);
    let options = &context.options;
    let kinds = ["clone", "promotable", "bundle"].iter().filter(|k| has(k)).count()
        + usize::from(options.has("--group"));
    if kinds > 1 {
        return Err(Failure::error("you can specify only one of clone, promotable, bundle or --group"));
    }
    if has("bundle") {
        return Err(Failure::error("resources are put into bundles with 'cibadmin' or 'crm configure'"));
    }
    let (before, after) = (options.value("--before"), options.value("--after"));
    let Some(group) = options.value("--group") else {
        if before.is_some() && after.is_some() {
            return Err(Failure::error(
                "you cannot specify both --before and --after and you have to specify --group",
            ));
        }
        if before.is_some() {
            return Err(Failure::error("you cannot use --before without --group"));
        }
        if after.is_some() {
            return Err(Failure::error("you cannot use --after without --group"));
        }
        return clone_place(groups, has("clone") || has("promotable"), has("promotable"));
    };
    if before.is_some() && after.is_some() {
        return Err(Failure::error("you cannot specify both --before and --after"));
    }
    let beside = before.map(|b| (b.to_string(), true)).or(after.map(|a| (a.to_string(), false)));
    Ok(Place::Group { id: group.to_string(), beside })
}

fn clone_place(groups: &[(&str, Vec<&str>)], cloned: bool, promotable: bool) -> Result<Place, Failure> {
    if !cloned {
        return Ok(Place::Top);
    }
    let words = joined(groups, if promotable { "promotable" } else { "clone" });
    let (id, words) = match words.split_first() {
        Some((first, rest)) if !first.contains('=') => (Some((*first).to_string()), rest.to_vec()),
        _ => (None, words),
    };
    let mut meta = words::pairs(&words)?;
    if promotable {
        if meta.has("promotable") {
            return Err(Failure::error("you cannot specify both promotable option and promotable keyword"));
        }
        meta.set("promotable", "true");
    }
    Ok(Place::Clone { id, meta })
}

/// Metadata of the agent; with `--force` a missing agent is only warned about.
///
/// # Errors
/// When there is no such agent.
pub(crate) fn metadata(context: &mut Context<'_>, agent: &str) -> Result<Metadata, Failure> {
    let library = Library::new(&context.paths.ocf_dirs);
    let result = library.resolve(agent).and_then(|name| match library.metadata(&name) {
        Ok(found) => Ok((name, Ok(found))),
        Err(error) if error.forceable() => Ok((name, Err(error))),
        Err(error) => Err(error),
    });
    let issue = match result {
        Ok((_, Ok(metadata))) => return Ok(metadata),
        Ok((name, Err(error))) if context.force() => {
            context.warn(error.to_string());
            return Ok(Metadata::unknown(&name));
        }
        Ok((_, Err(error))) => {
            Issue { near: error.near().map(str::to_string), ..Issue::forceable(error.to_string()) }
        }
        Err(error) => Issue { near: error.near().map(str::to_string), ..Issue::new(error.to_string()) },
    };
    Err(Failure::issue(issue))
}

/// Checks a new primitive and appends it to the resources.
///
/// # Errors
/// The issues found; nothing was added then.
pub fn add_primitive(
    context: &mut Context<'_>,
    doc: &mut Document,
    new: &NewPrimitive,
    metadata: &Metadata,
) -> Result<NodeId, Failure> {
    if id::exists(doc, &new.id) {
        // Said without the closing line, as it is found before anything is checked.
        context.message(Message::Error(format!("'{}' already exists", new.id)));
        return Err(Failure::Exit(1));
    }
    if let Err(message) = id::validate(&format!("{} name", new.noun), &new.id) {
        context.message(Message::Error(message));
        return Err(Failure::Exit(1));
    }
    let mut issues = Vec::new();
    let mut warnings = Vec::new();
    let new_roles = role::new_names(doc);
    let operations = agent::operations(
        metadata,
        &new.operations,
        new.default_operations,
        new_roles,
        &mut issues,
        &mut warnings,
    );
    context.settle(Issues(issues))?;
    for warning in warnings {
        context.warn(warning);
    }
    context.settle(Issues(agent::instance_attributes(metadata, &new.options, None, doc)))?;
    let top = resources(doc);
    let name = &metadata.name;
    let primitive =
        doc.append_with(top, "primitive", &[("id", &new.id), ("class", &name.class), ("type", &name.kind)]);
    if let Some(provider) = &name.provider {
        doc.set_attr(primitive, "provider", provider);
    }
    if !new.options.is_empty() {
        nvset::append(doc, primitive, "instance_attributes", &new.options.sorted());
    }
    if !new.meta.is_empty() {
        nvset::append(doc, primitive, "meta_attributes", &new.meta.sorted());
    }
    write_operations(doc, primitive, operations)?;
    if new.disabled {
        nvset::update(doc, primitive, "meta_attributes", &[("target-role", "Stopped")]);
    }
    Ok(primitive)
}

fn write_operations(doc: &mut Document, primitive: NodeId, mut operations: Vec<Pairs>) -> Outcome {
    let owner = doc.attr(primitive, "id").unwrap_or_default().to_string();
    operations.sort_by(|a, b| a.value("name").cmp(&b.value("name")));
    let list = doc.append(primitive, "operations");
    for mut operation in operations {
        let level = operation.take("OCF_CHECK_LEVEL");
        let name = operation.value("name").unwrap_or_default().to_string();
        let interval = operation.value("interval").unwrap_or_default().to_string();
        let op_id = match operation.take("id") {
            Some(given) if id::exists(doc, &given) => {
                return Err(Failure::issue(Issue::new(format!("'{given}' already exists"))));
            }
            Some(given) => given,
            None => id::unique(doc, &id::sanitize(&format!("{owner}-{name}-interval-{interval}"))),
        };
        let element = doc.append(list, "op");
        for (key, value) in ordered(&operation) {
            doc.set_attr(element, key, value);
        }
        doc.set_attr(element, "id", &op_id);
        if let Some(level) = level {
            nvset::append(doc, element, "instance_attributes", &[("OCF_CHECK_LEVEL", &level)]);
        }
    }
    Ok(())
}

/// Name and interval first, as readers expect them.
fn ordered(operation: &Pairs) -> Vec<(&str, &str)> {
    let rank = |name: &str| {
        ["name", "interval", "start-delay", "timeout", "role"].iter().position(|n| *n == name).unwrap_or(9)
    };
    let mut all: Vec<(&str, &str)> = operation.iter().collect();
    all.sort_by_key(|(name, _)| rank(name));
    all
}

fn put(context: &mut Context<'_>, doc: &mut Document, primitive: NodeId, place: &Place) -> Outcome {
    match place {
        Place::Top => Ok(()),
        Place::Clone { id: clone_id, meta } => {
            super::clone::wrap(doc, primitive, clone_id.as_deref(), meta).map(|_| ())
        }
        Place::Group { id: group_id, beside } => {
            let group = super::group::group_or_new(doc, group_id)?;
            let before = match beside {
                None => None,
                Some((other, before)) => {
                    let other_node =
                        find::resource(doc, other).ok_or_else(|| Failure::issue(missing(doc, other, "")))?;
                    if doc.parent(other_node) != Some(group) {
                        context
                            .message(Message::Error(format!("'{other}' is not in the group '{group_id}'")));
                        return Err(Failure::Exit(1));
                    }
                    if *before { Some(other_node) } else { doc.next_sibling(other_node) }
                }
            };
            doc.move_to(primitive, group, before);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentName;
    use crate::testing::cib;

    fn ipaddr2() -> Metadata {
        let name =
            AgentName { class: "ocf".into(), provider: Some("heartbeat".into()), kind: "IPaddr2".into() };
        Metadata::parse(
            &name,
            "<resource-agent><parameters><parameter name='ip' unique='1' required='1'><content type='string'/></parameter>\
             <parameter name='cidr_netmask'><content type='string'/></parameter></parameters>\
             <actions><action name='start' timeout='20s'/><action name='stop' timeout='20s'/>\
             <action name='monitor' timeout='20s' interval='10s'/><action name='meta-data' timeout='5s'/></actions></resource-agent>",
        )
        .unwrap()
    }

    fn add(doc: &mut Document, line: &str) -> Result<NodeId, Failure> {
        let words: Vec<String> = line.split(' ').map(str::to_string).collect();
        let (options, groups) = groups(&words, KEYWORDS);
        let new = NewPrimitive {
            id: "IP".into(),
            options: words::pairs(&options)?,
            operations: operations(&groups)?,
            default_operations: true,
            noun: "resource",
            ..NewPrimitive::default()
        };
        let mut sink = crate::report::Kept::default();
        let mut context = Context {
            options: crate::options::Options::default(),
            paths: crate::context::Paths::default(),
            store: Box::new(crate::store::MemoryStore(doc.clone())),
            sink: &mut sink,
        };
        add_primitive(&mut context, doc, &new, &ipaddr2())
    }

    #[test]
    fn the_tutorials_address() {
        let mut doc = cib("");
        let node = add(&mut doc, "ip=172.31.0.100 cidr_netmask=16 op monitor interval=60s").unwrap();
        assert_eq!(
            doc.node_to_pretty(node),
            r#"<primitive id="IP" class="ocf" type="IPaddr2" provider="heartbeat">
  <instance_attributes id="IP-instance_attributes">
    <nvpair id="IP-instance_attributes-cidr_netmask" name="cidr_netmask" value="16"/>
    <nvpair id="IP-instance_attributes-ip" name="ip" value="172.31.0.100"/>
  </instance_attributes>
  <operations>
    <op name="monitor" interval="60s" id="IP-monitor-interval-60s"/>
    <op name="start" interval="0s" timeout="20s" id="IP-start-interval-0s"/>
    <op name="stop" interval="0s" timeout="20s" id="IP-stop-interval-0s"/>
  </operations>
</primitive>
"#
        );
    }

    #[test]
    fn problems_are_found_together() {
        let mut doc = cib("");
        let Err(Failure::Issues(issues)) = add(&mut doc, "ipp=1.2.3.4") else { panic!("accepted") };
        let texts: Vec<String> = issues.iter().map(Issue::text).collect();
        assert_eq!(
            texts,
            [
                "invalid resource option 'ipp', allowed options are: 'cidr_netmask', 'ip', 'trace_file', \
                 'trace_ra', use --force to override",
                "required resource option 'ip' is missing, use --force to override",
            ]
        );
        assert_eq!(issues[0].near.as_deref(), Some("ip"));
        assert!(add(&mut doc, "ip=1 op monitor").is_err());
        assert!(add(&mut doc, "ip=1 op interval=1").is_err());
        assert!(add(&mut doc, "ip=1 op monitor interval=10 op monitor interval=10s").is_err());
        assert!(add(&mut doc, "ip=1 op monitro interval=10").is_err());
    }
}
