//! What the commands of the resource, node, cluster, ra and corosync levels do.

use std::process::Command;

use manager_client::placement::{self, Placement};
use manager_client::{Attributes, Controller, Error, forget, histories};
use scheduler::iso8601::Zone;
use scheduler::{Cluster, Options};
use xml::{Document, NodeId};

use crate::render;
use crate::shell::{CLIENT, Shell, info, say};

impl Shell {
    pub(crate) fn resource(&mut self, verb: &str, words: &[String]) -> Option<Result<(), String>> {
        Some(match verb {
            "status" | "list" | "show" | "locate" => match words.first() {
                None => self.resource_list(),
                Some(id) => self.resource_place(id),
            },
            "start" | "stop" | "promote" | "demote" => self.roles(verb, words),
            "manage" | "unmanage" => {
                let value = if verb == "manage" { "true" } else { "false" };
                self.each(words, |doc, node| set_meta(doc, node, "is-managed", Some(value)))
            }
            "maintenance" => {
                let value = words.get(1).map_or("true", |w| if w == "off" { "false" } else { "true" });
                self.each(words.get(..1).unwrap_or_default(), |doc, node| {
                    set_meta(doc, node, "maintenance", Some(value))
                })
            }
            "move" | "migrate" | "ban" => self.place(verb, words),
            "clear" | "unmove" | "unmigrate" | "unban" => match words.first() {
                Some(id) => self.clear(id, words.get(1)),
                None => Err(format!("syntax in {verb}: {verb} <rsc> [<node>]")),
            },
            "cleanup" | "refresh" => self.cleanup(words, verb == "refresh"),
            "restart" => self.restart(words),
            "wait" => run("crm_resource", &["--wait"]),
            "meta" | "param" => self.attribute(verb, words),
            "constraints" => {
                return Some(run("crm_resource", &["-a", "-r", words.first().map_or("", String::as_str)]));
            }
            _ => return None,
        })
    }

    fn resource_list(&self) -> Result<(), String> {
        run("crm_resource", &["--list"])
    }

    fn resource_place(&self, id: &str) -> Result<(), String> {
        let doc = self.load()?.1;
        find(&doc, id)?;
        run("crm_resource", &["--locate", "--resource", id])
    }

    fn each(&self, ids: &[String], change: impl Fn(&mut Document, NodeId)) -> Result<(), String> {
        if ids.is_empty() {
            return Err("name a resource".into());
        }
        self.change(|doc| {
            for id in ids {
                let node = find(doc, id)?;
                change(doc, node);
            }
            Ok(())
        })
    }

    fn roles(&self, verb: &str, ids: &[String]) -> Result<(), String> {
        let role = match verb {
            "start" => "Started",
            "stop" => "Stopped",
            "promote" => "Promoted",
            _ => "Unpromoted",
        };
        self.each(ids, |doc, node| set_meta(doc, node, "target-role", Some(role)))
    }

    fn place(&self, verb: &str, words: &[String]) -> Result<(), String> {
        let rest: Vec<&String> = words.iter().filter(|w| *w != "force" && *w != "--force").collect();
        let (id, node, lifetime) = match rest.as_slice() {
            [id] => (*id, None, None),
            [id, second] if second.starts_with('P') => (*id, None, Some(*second)),
            [id, node] => (*id, Some(*node), None),
            [id, node, lifetime] => (*id, Some(*node), Some(*lifetime)),
            _ => return Err(format!("syntax in {verb}: {verb} <rsc> [<node>] [<lifetime>] [force]")),
        };
        let end = match lifetime {
            None => None,
            Some(text) => Some(end_of(text).ok_or_else(|| format!("'{text}' is not a duration"))?),
        };
        let mut made = String::new();
        self.change(|doc| {
            find(doc, id)?;
            let target = match node {
                Some(node) => known_node(doc, node)?,
                None => active_on(doc, id)?,
            };
            let request = Placement { resource: id, node: &target, role: None, until: end.as_deref() };
            if verb == "ban" || node.is_none() {
                placement::ban(doc, &request);
            } else {
                placement::clear(doc, id, None);
                placement::prefer(doc, &request);
            }
            made = target;
            Ok(())
        })?;
        if verb == "ban" {
            info(&format!("Ban constraint created for {id} on {made}"));
        } else {
            let way = if node.is_some() { "to" } else { "away from" };
            info(&format!("Move constraint created for {id} {way} {made}"));
        }
        info(&format!("Use `crm resource clear {id}` to remove this constraint"));
        Ok(())
    }

    fn clear(&self, id: &str, node: Option<&String>) -> Result<(), String> {
        self.change(|doc| {
            find(doc, id)?;
            placement::clear(doc, id, node.map(String::as_str));
            Ok(())
        })?;
        info(&format!("Removed migration constraints for {id}"));
        Ok(())
    }

    fn cleanup(&self, words: &[String], everything: bool) -> Result<(), String> {
        let doc = self.load()?.1;
        let ids: Option<Vec<String>> = match words.first() {
            Some(id) => {
                let node = find(&doc, id)?;
                let inner = doc.element(node).descendants().filter(|e| e.name() == "primitive");
                Some(inner.filter_map(|e| e.attr("id").map(str::to_string)).collect())
            }
            None => None,
        };
        let connection = |e: Error| format!("could not talk to the cluster manager: {e}");
        let mut attributes = Attributes::open(CLIENT).map_err(connection)?;
        let mut controller = Controller::open(CLIENT).map_err(connection)?;
        let found = histories(&doc, ids.as_deref(), words.get(1).map(String::as_str));
        for history in found.iter().filter(|h| everything || h.failed) {
            forget(&mut attributes, &mut controller, history).map_err(connection)?;
        }
        if ids.is_none() {
            say("Cleaned up all resources on all nodes");
        }
        for history in found.iter().filter(|_| ids.is_some()) {
            say(&format!("Cleaned up {} on {}", history.resource.id, history.node));
        }
        Ok(())
    }

    fn restart(&self, ids: &[String]) -> Result<(), String> {
        for id in ids {
            info(&format!("ordering {id} to stop"));
            self.each(std::slice::from_ref(id), |doc, node| {
                set_meta(doc, node, "target-role", Some("Stopped"))
            })?;
            run("crm_resource", &["--wait"])?;
            info(&format!("ordering {id} to start"));
            self.each(std::slice::from_ref(id), |doc, node| {
                set_meta(doc, node, "target-role", Some("Started"))
            })?;
        }
        Ok(())
    }

    fn attribute(&self, verb: &str, words: &[String]) -> Result<(), String> {
        let (id, action, name, value) = match words {
            [id, action, name] => (id, action, name, None),
            [id, action, name, value] => (id, action, name, Some(value.as_str())),
            _ => return Err(format!("syntax in {verb}: {verb} <rsc> set|delete|show <name> [<value>]")),
        };
        let kind = if verb == "meta" { "meta_attributes" } else { "instance_attributes" };
        match (action.as_str(), value) {
            ("set", Some(value)) => {
                self.each(std::slice::from_ref(id), |doc, node| set(doc, node, kind, name, Some(value)))
            }
            ("delete", None) => {
                self.each(std::slice::from_ref(id), |doc, node| set(doc, node, kind, name, None))
            }
            ("show", None) => {
                let doc = self.load()?.1;
                let node = find(&doc, id)?;
                let mut pairs =
                    doc.element(node).children().filter(|s| s.name() == kind).flat_map(|s| s.children());
                let found = pairs.find(|p| p.attr("name") == Some(name)).and_then(|p| p.attr("value"));
                say(found.ok_or_else(|| format!("{id} has no {name}"))?);
                Ok(())
            }
            _ => Err(format!("syntax in {verb}: {verb} <rsc> set|delete|show <name> [<value>]")),
        }
    }

    pub(crate) fn node(&mut self, verb: &str, words: &[String]) -> Option<Result<(), String>> {
        let switch = |name: &'static str, value: Option<&'static str>| {
            let chosen = words.iter().find(|w| !matches!(w.as_str(), "reboot" | "forever")).cloned();
            let node = chosen.map_or_else(|| local_node().map_err(|e| e.to_string()), Ok);
            node.and_then(|node| {
                self.change(|doc| {
                    let element = node_element(doc, &node)
                        .ok_or_else(|| format!("node.{verb}: Node \"{node}\" is not a cluster node"))?;
                    set_node(doc, element, name, value);
                    Ok(())
                })?;
                if name == "standby" {
                    info(&format!("{verb} node {node}"));
                }
                Ok(())
            })
        };
        Some(match verb {
            "standby" => switch("standby", Some("on")),
            "online" => switch("standby", Some("off")),
            "maintenance" => switch("maintenance", Some("true")),
            "ready" => switch("maintenance", Some("false")),
            "show" | "status" => self.node_list(words.first()),
            "attribute" => match words {
                [node, action, name, value @ ..] if action == "set" || action == "delete" => {
                    self.change(|doc| {
                        let element = node_element(doc, node)
                            .ok_or_else(|| format!("Node \"{node}\" is not a cluster node"))?;
                        let value = if action == "set" { value.first().map(String::as_str) } else { None };
                        set_node(doc, element, name, value);
                        Ok(())
                    })
                }
                _ => Err("syntax in attribute: attribute <node> set <attr> <value> | delete <attr>".into()),
            },
            _ => return None,
        })
    }

    fn node_list(&self, only: Option<&String>) -> Result<(), String> {
        let doc = self.load()?.1;
        let cluster = unpack(&doc);
        let nodes = doc.root_element().path(&["configuration", "nodes"]);
        let mut any = false;
        for node in nodes.into_iter().flat_map(|n| n.children_named("node")) {
            let name = node.attr("uname").unwrap_or_default();
            if only.is_some_and(|o| o != name) {
                continue;
            }
            any = true;
            let kind = node.attr("type").unwrap_or("member");
            let online = cluster.find_node(name).is_some_and(|n| cluster.nodes[n].online);
            let state = if online { "" } else { "(offline)" };
            say(&format!("{name}({}): {kind}{state}", node.attr("id").unwrap_or_default()));
            let pairs: Vec<String> = node
                .children_named("instance_attributes")
                .flat_map(|s| s.children())
                .filter_map(|p| Some(format!("{}={}", p.attr("name")?, p.attr("value")?)))
                .collect();
            if !pairs.is_empty() {
                say(&format!("\t{}", pairs.join(" ")));
            }
        }
        match only {
            Some(name) if !any => Err(format!("node {name} does not exist")),
            _ => Ok(()),
        }
    }
}

pub(crate) fn unpack(doc: &Document) -> Cluster {
    let zone = Zone::Local(sys::clock::utc_offset_s);
    let options = Options { now_s: sys::clock::now_s(), zone, ..Options::default() };
    Cluster::unpack(doc, &options)
}

fn local_node() -> Result<String, Error> {
    let info = Controller::open(CLIENT)?.node_info(None)?;
    info.name.ok_or_else(|| Error::Protocol("the local node has no name yet".into()))
}

fn end_of(text: &str) -> Option<String> {
    let ms = base::parse_interval_ms(text).filter(|ms| *ms > 0)?;
    let end = jiff::Timestamp::now().as_second().checked_add(i64::try_from(ms / 1000).ok()?)?;
    Some(jiff::Timestamp::from_second(end).ok()?.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

fn find(doc: &Document, id: &str) -> Result<NodeId, String> {
    render::objects(doc)
        .into_iter()
        .find(|o| {
            o.attr("id") == Some(id)
                && matches!(o.name(), "primitive" | "group" | "clone" | "master" | "bundle")
        })
        .map(|o| o.id())
        .ok_or_else(|| format!("resource {id} does not exist"))
}

fn known_node(doc: &Document, name: &str) -> Result<String, String> {
    node_element(doc, name).map(|_| name.to_string()).ok_or_else(|| format!("Not our node: {name}"))
}

fn node_element(doc: &Document, name: &str) -> Option<NodeId> {
    let nodes = doc.root_element().path(&["configuration", "nodes"])?;
    nodes.children().find(|n| n.attr("uname") == Some(name)).map(|n| n.id())
}

fn active_on(doc: &Document, id: &str) -> Result<String, String> {
    let cluster = unpack(doc);
    let places = cluster.find_rsc(id).map(|r| cluster.places(r, scheduler::at::CURRENT)).unwrap_or_default();
    match places.as_slice() {
        [one] => Ok(cluster.node_name(*one).to_string()),
        _ => Err(format!("resource {id} does not run on exactly one node: name the node")),
    }
}

fn set_meta(doc: &mut Document, node: NodeId, name: &str, value: Option<&str>) {
    set(doc, node, "meta_attributes", name, value);
}

fn set_node(doc: &mut Document, node: NodeId, name: &str, value: Option<&str>) {
    if doc.child(node, "instance_attributes").is_none() {
        let id = format!("nodes-{}", doc.attr(node, "id").unwrap_or_default());
        doc.append_with(node, "instance_attributes", &[("id", &id)]);
    }
    set(doc, node, "instance_attributes", name, value);
}

/// Sets or removes a pair in the first set of this kind.
fn set(doc: &mut Document, owner: NodeId, kind: &str, name: &str, value: Option<&str>) {
    let set = match doc.child(owner, kind) {
        Some(set) => set,
        None if value.is_none() => return,
        None => {
            let id = format!("{}-{kind}", doc.attr(owner, "id").unwrap_or_default());
            doc.append_with(owner, kind, &[("id", &id)])
        }
    };
    let existing = doc.element(set).children().find(|p| p.attr("name") == Some(name)).map(|p| p.id());
    match (existing, value) {
        (Some(pair), Some(value)) => doc.set_attr(pair, "value", value),
        (Some(pair), None) => doc.remove(pair),
        (None, None) => {}
        (None, Some(value)) => {
            let id = format!("{}-{name}", doc.attr(set, "id").unwrap_or_default());
            doc.append_with(set, "nvpair", &[("id", &id), ("name", name), ("value", value)]);
        }
    }
}

/// Runs one of the manager's tools with its output passed through.
fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let status = Command::new(program).args(arguments).status().map_err(|e| format!("{program}: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program} left with status {}", status.code().unwrap_or(1)))
    }
}

pub(crate) fn cluster(verb: &str, words: &[String]) -> Option<Result<(), String>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match verb {
        "status" => Some(run("pcs", &["cluster", "status"])),
        "start" | "stop" | "enable" | "disable" => {
            Some(run("pcs", &[["cluster", verb].as_slice(), words.as_slice()].concat()))
        }
        "restart" => Some(run("pcs", &["cluster", "stop"]).and_then(|()| run("pcs", &["cluster", "start"]))),
        _ => None,
    }
}

pub(crate) fn ra(verb: &str, words: &[String]) -> Option<Result<(), String>> {
    let first = words.first().map_or("", String::as_str);
    match verb {
        "classes" => Some(run("crm_resource", &["--list-standards"])),
        "providers" => Some(run("crm_resource", &["--list-ocf-alternatives", first])),
        "list" => Some(run("crm_resource", &["--list-agents", first])),
        "info" | "meta" => Some(run("pcs", &["resource", "describe", first])),
        _ => None,
    }
}

pub(crate) fn corosync(verb: &str) -> Option<Result<(), String>> {
    match verb {
        "status" => Some(run("corosync-quorumtool", &["-s"])),
        "show" => Some(run("pcs", &["cluster", "corosync"])),
        _ => None,
    }
}
