//! The cluster's state for programs and for the page, read from our own `crm_mon`.

use std::time::Duration;

use serde_json::{Value, json};
use xml::{Document, Element};

use crate::command;

const LIMIT: Duration = Duration::from_secs(20);

/// State of the whole cluster as this node sees it.
pub async fn cluster() -> Value {
    let ended = command::run("crm_mon", &["--output-as=xml", "--inactive"], LIMIT).await;
    let Ok(document) = Document::parse(&ended.stdout) else {
        let reason = ended.stderr.trim();
        let reason = if reason.is_empty() { "the cluster is not running on this node" } else { reason };
        return json!({"running": false, "reason": reason});
    };
    let root = document.root_element();
    if root.child("nodes").is_none() {
        return json!({"running": false, "reason": "the cluster is not running on this node"});
    }
    let summary = root.child("summary");
    let dc = summary.and_then(|s| s.child("current_dc"));
    let attr = |element: Option<Element<'_>>, name: &str| {
        element.and_then(|e| e.attr(name)).unwrap_or("").to_string()
    };
    let nodes: Vec<Value> =
        root.child("nodes").into_iter().flat_map(|n| n.children_named("node")).map(node).collect();
    let mut resources = Vec::new();
    if let Some(list) = root.child("resources") {
        collect(list, "", &mut resources);
    }
    let failures: Vec<Value> = root
        .child("failures")
        .into_iter()
        .flat_map(|f| f.children())
        .map(|f| json!({"operation": f.attr("op_key"), "node": f.attr("node"), "result": f.attr("exitstatus")}))
        .collect();
    json!({
        "running": true,
        "quorate": attr(dc, "with_quorum") == "true",
        "dc": attr(dc, "name"),
        "changed": attr(summary.and_then(|s| s.child("last_change")), "time"),
        "nodes": nodes,
        "resources": resources,
        "failures": failures,
    })
}

fn node(node: Element<'_>) -> Value {
    let is = |name: &str| node.attr(name) == Some("true");
    let state = match () {
        () if is("unclean") => "unclean",
        () if is("pending") => "pending",
        () if !is("online") => "offline",
        () if is("standby") => "standby",
        () if is("maintenance") => "maintenance",
        () => "online",
    };
    json!({"name": node.attr("name"), "id": node.attr("id"), "state": state, "dc": is("is_dc"),
           "resources": node.attr("resources_running")})
}

fn collect(list: Element<'_>, inside: &str, found: &mut Vec<Value>) {
    for element in list.children() {
        if element.name() != "resource" {
            collect(element, element.attr("id").unwrap_or(inside), found);
            continue;
        }
        let nodes: Vec<&str> = element.children_named("node").filter_map(|node| node.attr("name")).collect();
        found.push(json!({
            "id": element.attr("id"), "agent": element.attr("resource_agent"), "role": element.attr("role"),
            "failed": element.attr("failed") == Some("true"), "managed": element.attr("managed") == Some("true"),
            "nodes": nodes, "inside": inside,
        }));
    }
}

/// The answer to `pacemaker_node_status`: is this node's manager a member?
pub async fn local_node(host: &str) -> Value {
    let state = cluster().await;
    let nodes = state.get("nodes").and_then(Value::as_array).cloned().unwrap_or_default();
    let own = nodes.iter().find(|node| node.get("name").and_then(Value::as_str) == Some(host));
    let Some(own) = own else { return json!({"online": false, "offline": true}) };
    let text = own.get("state").and_then(Value::as_str).unwrap_or("");
    json!({
        "id": own.get("id"), "name": host, "type": "member",
        "online": !matches!(text, "offline" | "unclean"), "offline": text == "offline",
        "standby": text == "standby", "standby_onfail": false, "maintenance": text == "maintenance",
        "pending": text == "pending", "unclean": text == "unclean", "shutdown": false, "expected_up": true,
        "is_dc": own.get("dc"), "resources_running": own.get("resources"),
    })
}
