//! `pcs cluster setup`.

use std::collections::BTreeMap;

use base64::Engine;
use serde_json::{Value, json};

use super::conf::{Node, Plan};
use super::started;
use crate::cmd::host::{call_all, known_hosts_body, load, timeout};
use crate::context::Context;
use crate::remote::{Body, Host, ReplyError};
use crate::report::{Failure, Issue, Issues, Message, Outcome, quoted_list};
use crate::words::{self, groups, joined};

/// Bytes of the keys that are made for a new cluster.
const KEY_BYTES: usize = 256;

pub(super) fn setup(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [name, rest @ ..] = words else { return Err(Failure::USAGE) };
    if rest.is_empty() {
        return Err(Failure::USAGE);
    }
    let mut plan = parse(name, rest)?;
    let known = load(context)?;
    let local = context.options.value("--corosync_conf").is_some();
    let mut issues = Issues::default();
    let mut hosts = Vec::new();
    for node in &mut plan.nodes {
        match known.hosts.get(&node.name) {
            Some(host) => {
                if node.addresses.is_empty() {
                    context.info(format!("No addresses specified for host '{}', using '{}'", node.name, host.address));
                    node.addresses.push(host.address.clone());
                }
                hosts.push(host.clone());
            }
            None if local => {
                if node.addresses.is_empty() {
                    node.addresses.push(node.name.clone());
                }
            }
            None => issues.push(Issue::new(format!(
                "Host '{0}' is not known to pcs, try to authenticate the host using 'pcs host auth {0}' command",
                node.name
            ))),
        }
    }
    if context.options.wait().is_some() && !context.options.has("--start") {
        issues.push(Issue::new("Cannot specify 'wait' without specifying 'start'"));
    }
    if issues.0.is_empty() {
        issues = plan.check();
    }
    if !context.options.has("--no-cluster-uuid") {
        plan.uuid = Some(random_hex());
    }
    if local {
        context.settle(issues)?;
        return save_local(context, &plan);
    }
    if issues.0.iter().all(|i| i.forceable) {
        let states = host_states(context, &hosts, &mut issues)?;
        check_hosts(&states, context.force(), &mut issues);
    }
    context.settle(issues)?;
    carry_out(context, &plan, &hosts)
}

fn parse(name: &str, words: &[String]) -> Result<Plan, Failure> {
    let (nodes, found) = groups(words, &["transport", "totem", "quorum"]);
    let mut plan = Plan { name: name.into(), transport: "knet".into(), ..Plan::default() };
    for word in nodes {
        match word.split_once('=') {
            None if plan.nodes.iter().any(|n| n.name == word) => {
                return Err(Failure::usage(format!("Node name '{word}' defined multiple times")));
            }
            None => plan.nodes.push(Node { name: word.into(), addresses: Vec::new() }),
            Some(("addr", address)) => match plan.nodes.last_mut() {
                Some(node) => node.addresses.push(address.into()),
                None => return Err(Failure::usage(format!("Invalid character '=' in node name '{word}'"))),
            },
            Some((option, _)) if plan.nodes.is_empty() => {
                return Err(Failure::usage(format!("Invalid character '=' in node name '{option}'")));
            }
            Some((option, _)) => return Err(Failure::usage(format!("Unknown option '{option}'"))),
        }
    }
    if plan.nodes.is_empty() {
        return Err(Failure::USAGE);
    }
    plan.totem = words::pairs(&joined(&found, "totem"))?;
    plan.quorum = words::pairs(&joined(&found, "quorum"))?;
    let transport = joined(&found, "transport");
    if let Some((kind, options)) = transport.split_first() {
        if kind.contains('=') {
            return Err(Failure::usage("Transport type not specified".to_string()));
        }
        plan.transport = (*kind).to_string();
        let options: Vec<String> = options.iter().map(|w| (*w).to_string()).collect();
        let (own, parts) = groups(&options, &["link", "compression", "crypto"]);
        plan.transport_options = words::pairs(&own)?;
        plan.compression = words::pairs(&joined(&parts, "compression"))?;
        plan.crypto = words::pairs(&joined(&parts, "crypto"))?;
        for (_, link) in parts.iter().filter(|(k, _)| *k == "link") {
            plan.links.push(words::pairs(link)?);
        }
    }
    if plan.transport == "knet" && plan.crypto.is_empty() {
        plan.crypto.set("cipher", "aes256");
        plan.crypto.set("hash", "sha256");
    }
    Ok(plan)
}

fn random_bytes<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|e| Failure::Error(format!("no random numbers: {e}")))?;
    Ok(bytes)
}

fn random_hex() -> String {
    let bytes = random_bytes::<16>().unwrap_or_default();
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn save_local(context: &mut Context<'_>, plan: &Plan) -> Outcome {
    let path = context.paths.corosync_conf.clone();
    if path.exists() && !context.options.has("--overwrite") {
        return Err(Failure::Error(format!(
            "Corosync configuration file '{}' already exists, use --overwrite to overwrite existing file(s)",
            path.display()
        )));
    }
    std::fs::write(&path, plan.text()).map_err(|e| {
        Failure::Error(format!("Unable to write Corosync configuration '{}': {e}", path.display()))
    })
}

fn host_states(
    context: &mut Context<'_>,
    hosts: &[Host],
    issues: &mut Issues,
) -> Result<BTreeMap<String, Value>, Failure> {
    let limit = timeout(context);
    let replies = call_all(context, hosts, "remote/check_host", &Body::None, limit, |_, _, _| {})?;
    let mut states = BTreeMap::new();
    for (name, reply) in replies {
        match reply.map(|text| serde_json::from_str::<Value>(&text)) {
            Ok(Ok(state)) => {
                states.insert(name, state);
            }
            Ok(Err(_)) => issues.push(Issue::new(format!("{name}: Invalid format of response"))),
            Err(error) => issues.push(Issue::new(remote_text(&error))),
        }
    }
    Ok(states)
}

/// What a failed call means for the user.
pub(super) fn remote_text(error: &ReplyError) -> String {
    match error {
        ReplyError::Unreachable { node, cause } => format!(
            "{node}: Unable to connect to {node}, check if pcsd is running there or try setting higher timeout \
             with --request-timeout option ({cause})"
        ),
        ReplyError::Unauthorized(node) => format!(
            "{node}: Unable to authenticate to {node} (HTTP error: 401), try running 'pcs host auth {node}'"
        ),
        ReplyError::Status { node, body, .. } if !body.trim().is_empty() => {
            format!("{node}: {}", body.trim())
        }
        other => other.to_string(),
    }
}

fn check_hosts(states: &BTreeMap<String, Value>, force: bool, issues: &mut Issues) {
    let mut occupied = false;
    for (name, state) in states {
        let service = |service: &str, what: &str| {
            state
                .get("services")
                .and_then(|s| s.get(service))
                .and_then(|s| s.get(what))
                .and_then(Value::as_bool)
        };
        let missing: Vec<&str> = ["corosync", "pacemaker"]
            .into_iter()
            .filter(|s| service(s, "installed") == Some(false))
            .collect();
        if !missing.is_empty() {
            issues.push(Issue::new(format!(
                "{name}: Required cluster services not installed: {}",
                quoted_list(missing)
            )));
        }
        let running: Vec<&str> = ["corosync", "pacemaker", "pacemaker_remote"]
            .into_iter()
            .filter(|s| service(s, "running") == Some(true))
            .collect();
        if !running.is_empty() {
            occupied = true;
            let list = quoted_list(running);
            issues.push(Issue::forceable(format!(
                "{name}: The host seems to be in a cluster already as the following services are found to be \
                 running: {list}. If the host is not part of a cluster, stop the services and retry"
            )));
        }
        if state.get("cluster_configuration_exists").and_then(Value::as_bool) == Some(true) {
            occupied = true;
            issues.push(Issue::forceable(format!(
                "{name}: The host seems to be in a cluster already as cluster configuration files have been found \
                 on the host. If the host is not part of a cluster, run 'pcs cluster destroy' on host '{name}' to \
                 remove those configuration files"
            )));
        }
    }
    if occupied && !force {
        issues.push(Issue::forceable(
            "Some nodes are already in a cluster. Enforcing this will destroy existing cluster on those nodes. You \
             should remove the nodes from their clusters instead to keep the clusters working properly",
        ));
    }
}

fn carry_out(context: &mut Context<'_>, plan: &Plan, hosts: &[Host]) -> Outcome {
    let names = quoted_list(hosts.iter().map(|h| &h.name));
    context.info(format!("Destroying cluster on hosts: {names}..."));
    step(context, hosts, "remote/cluster_destroy", &Body::None, |c, name, _| {
        c.info(format!("{name}: Successfully destroyed cluster"));
    })?;
    step(context, hosts, "remote/known_hosts_change", &known_hosts_body(hosts), |_, _, _| {})?;
    context.info(format!("Requesting remove 'pcsd settings' from {names}"));
    let remove = json!({"pcsd settings": {"type": "pcsd_settings"}});
    files(context, hosts, "remote/remove_file", &remove, "successful removal of the file")?;
    if !context.options.has("--no-keys-sync") {
        let base64 = base64::engine::general_purpose::STANDARD;
        let key = |kind: &str| -> Result<Value, Failure> {
            let data = base64.encode(random_bytes::<KEY_BYTES>()?);
            Ok(json!({"data": data, "type": kind, "rewrite_existing": true}))
        };
        let keys = json!({
            "corosync authkey": key("corosync_authkey")?,
            "pacemaker_remote authkey": key("pcmk_remote_authkey")?,
        });
        context.info(format!("Sending 'corosync authkey', 'pacemaker authkey' to {names}"));
        files(context, hosts, "remote/put_file", &keys, "successful distribution of the file")?;
    }
    context.info(format!("Sending 'corosync.conf' to {names}"));
    let conf = json!({"corosync.conf": {"type": "corosync_conf", "data": plan.text()}});
    files(context, hosts, "remote/put_file", &conf, "successful distribution of the file")?;
    context.info("Cluster has been successfully set up.");
    if context.options.has("--enable") {
        step(context, hosts, "remote/cluster_enable", &Body::None, |c, name, _| {
            c.info(format!("{name}: Cluster enabled"));
        })?;
    }
    if context.options.has("--start") {
        context.info(format!("Starting cluster on hosts: {names}..."));
        step(context, hosts, "remote/cluster_start", &Body::None, |_, _, _| {})?;
        let wait = context.wait_limit()?;
        started::wait_for(context, hosts, wait)?;
    }
    Ok(())
}

/// One call to all hosts; every failure is shown, and any ends the setup.
fn step(
    context: &mut Context<'_>,
    hosts: &[Host],
    path: &str,
    body: &Body,
    mut done: impl FnMut(&mut Context<'_>, &str, &str),
) -> Outcome {
    let limit = timeout(context);
    let mut failed = false;
    call_all(context, hosts, path, body, limit, |context, name, reply| match reply {
        Ok(text) => done(context, name, text),
        Err(error) => {
            failed = true;
            context.message(Message::Error(remote_text(error)));
        }
    })?;
    if failed { Err(Failure::Issues(Vec::new())) } else { Ok(()) }
}

/// Sends or removes files; the answer tells the result for each.
fn files(context: &mut Context<'_>, hosts: &[Host], path: &str, data: &Value, success: &str) -> Outcome {
    let body = Body::Form(vec![("data_json".into(), data.to_string())]);
    let mut failed = false;
    step(context, hosts, path, &body, |context, name, text| {
        let answer: Value = serde_json::from_str(text).unwrap_or_default();
        let Some(results) = answer.get("files").and_then(Value::as_object) else {
            failed = true;
            context.message(Message::Error(format!("{name}: Invalid format of response")));
            return;
        };
        for (file, result) in results {
            let shown = if file == "pacemaker_remote authkey" { "pacemaker authkey" } else { file };
            let code = result.get("code").and_then(Value::as_str).unwrap_or_default();
            if matches!(code, "written" | "rewritten" | "same_content" | "deleted" | "not_found" | "success")
            {
                context.info(format!("{name}: {success} '{shown}'"));
            } else {
                failed = true;
                let why = result.get("message").and_then(Value::as_str).unwrap_or("unknown cause");
                let why = if code == "conflict" { "File already exists" } else { why };
                context.message(Message::Error(format!("{name}: operation on file '{shown}' failed: {why}")));
            }
        }
    })?;
    if failed { Err(Failure::Issues(Vec::new())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_string).collect()
    }

    #[test]
    fn the_grammar() {
        let plan = parse(
            "c",
            &words("n1 addr=1 addr=2 n2 transport knet link_mode=active link linknumber=1 mcastport=5 crypto cipher=none totem token=5000 quorum wait_for_all=1"),
        )
        .unwrap();
        assert_eq!(plan.nodes[0].addresses, ["1", "2"]);
        assert_eq!(plan.transport_options.value("link_mode"), Some("active"));
        assert_eq!(plan.links.len(), 1);
        assert_eq!(plan.crypto.value("cipher"), Some("none"));
        assert_eq!(plan.totem.value("token"), Some("5000"));
        for wrong in ["addr=1 n1", "n1 n1", "n1 adr=1", "transport udp"] {
            assert!(parse("c", &words(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn occupied_hosts_need_force() {
        let state = json!({"services": {"corosync": {"installed": true, "running": true}}, "cluster_configuration_exists": true});
        let mut issues = Issues::default();
        check_hosts(&BTreeMap::from([("n1".to_string(), state)]), false, &mut issues);
        assert_eq!(issues.0.len(), 3);
        assert!(issues.0.iter().all(|i| i.forceable));
    }
}
