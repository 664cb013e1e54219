//! The calls that nodes make to each other: `/remote/NAME`, as pcsd 0.11 answers them.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::command::{self, Ended};
use crate::{files, known_hosts, status, sync};

/// Time for what starts, stops or destroys a cluster on this node.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_secs(60);
const COROSYNC_CONF: &str = "/etc/corosync/corosync.conf";
const CIB: &str = "/var/lib/pacemaker/cib/cib.xml";

/// What a call is answered with.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub text: String,
}

impl Answer {
    fn ok(text: impl Into<String>) -> Answer {
        Answer { code: 200, text: text.into() }
    }

    fn bad(text: impl Into<String>) -> Answer {
        Answer { code: 400, text: text.into() }
    }
}

/// Facts that the calls need.
pub struct Place<'a> {
    pub directory: &'a Path,
    pub host: &'a str,
}

/// Answers a call of an authorised asker. `None`: there is no such call.
pub async fn call(name: &str, form: &HashMap<String, String>, place: &Place<'_>) -> Option<Answer> {
    let all = form.get("all").is_some_and(|value| value == "1");
    Some(match name {
        "check_auth" => Answer::ok(json!({"success": true}).to_string()),
        "check_host" => Answer::ok(check_host().await.to_string()),
        "get_sw_versions" => Answer::ok(
            json!({"rhel": [], "pcs": [0, 11, 5], "pacemaker": [2, 1, 5], "corosync": [3, 1, 7]}).to_string(),
        ),
        "put_file" => with_json(form, files::put),
        "remove_file" => with_json(form, files::remove),
        "manage_services" => with_json(form, refuse_services),
        "cluster_start" => plain(pcs(&["cluster", "start"], all).await),
        "cluster_stop" => plain(stop(form, all).await),
        "cluster_enable" => said(pcs(&["cluster", "enable"], all).await, "Cluster Enabled"),
        "cluster_disable" => said(pcs(&["cluster", "disable"], all).await, "Cluster Disabled"),
        "cluster_destroy" => said(pcs(&["cluster", "destroy"], all).await, "Successfully destroyed cluster"),
        "pacemaker_node_status" => Answer::ok(status::local_node(place.host).await.to_string()),
        "status" | "cluster_status" => Answer::ok(status::cluster().await.to_string()),
        "cluster_status_plaintext" => said_output(command::run("pcs", &["status"], SHORT).await),
        "get_quorum_info" => quorum_info().await,
        "get_corosync_conf" => match std::fs::read_to_string(COROSYNC_CONF) {
            Ok(text) => Answer::ok(text),
            Err(_) => Answer::bad("Unable to read corosync.conf"),
        },
        "set_corosync_conf" => set_corosync_conf(form),
        "reload_corosync_conf" => reload_corosync_conf().await,
        "known_hosts_change" => match data(form).and_then(|data| known_hosts::change(place.directory, &data))
        {
            Ok(()) => Answer::ok(""),
            Err(text) => Answer::bad(format!("Incorrect format of request data: {text}")),
        },
        "get_cluster_known_hosts" => {
            Answer::ok(Value::Object(known_hosts::hosts(place.directory)).to_string())
        }
        "get_sync_capabilities" => {
            Answer::ok(json!({"syncable_configs": ["known-hosts", "pcs_settings.conf"]}).to_string())
        }
        "get_configs" => {
            let asked = form.get("cluster_name").map_or("", String::as_str);
            Answer::ok(sync::get(place.directory, &cluster_name(), asked).to_string())
        }
        "set_configs" => {
            Answer::ok(sync::set(place.directory, &cluster_name(), form.get("configs")).to_string())
        }
        _ => return None,
    })
}

fn data(form: &HashMap<String, String>) -> Result<Value, String> {
    let text = form.get("data_json").ok_or("'data_json' is missing")?;
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn with_json(
    form: &HashMap<String, String>,
    work: impl Fn(&Map<String, Value>) -> Result<Value, String>,
) -> Answer {
    let result = data(form).and_then(|data| match data.as_object() {
        Some(items) => work(items),
        None => Err("an object is expected".into()),
    });
    match result {
        Ok(value) => Answer::ok(value.to_string()),
        Err(text) => Answer::bad(format!("Invalid input data format: {text}")),
    }
}

fn refuse_services(actions: &Map<String, Value>) -> Result<Value, String> {
    let results: Map<String, Value> = actions
        .keys()
        .map(|id| {
            (id.clone(), json!({"code": "fail", "message": "pacemaker_remote is not a service of this host"}))
        })
        .collect();
    Ok(json!({ "actions": results }))
}

async fn pcs(words: &[&str], all: bool) -> Ended {
    let mut arguments = words.to_vec();
    if all {
        arguments.push("--all");
    }
    command::run("pcs", &arguments, LONG).await
}

async fn stop(form: &HashMap<String, String>, all: bool) -> Ended {
    let mut words = vec!["cluster", "stop"];
    match form.get("component").map(|text| text.to_ascii_lowercase()).as_deref() {
        Some("pacemaker") => words.push("--pacemaker"),
        Some("corosync") => words.push("--corosync"),
        _ => {}
    }
    if form.contains_key("force") {
        words.push("--force");
    }
    pcs(&words, all).await
}

fn plain(ended: Ended) -> Answer {
    if ended.is_success() { Answer::ok(ended.stderr) } else { Answer::bad(ended.stdout + &ended.stderr) }
}

fn said(ended: Ended, text: &str) -> Answer {
    if ended.is_success() { Answer::ok(text) } else { Answer::bad(ended.stdout + &ended.stderr) }
}

fn said_output(ended: Ended) -> Answer {
    if ended.is_success() { Answer::ok(ended.stdout) } else { Answer::bad(ended.stderr) }
}

async fn quorum_info() -> Answer {
    let ended = command::run("corosync-quorumtool", &["-p", "-s"], SHORT).await;
    // Its status says whether there is quorum, not whether it worked.
    if ended.stdout.is_empty() { Answer::bad(ended.stderr) } else { Answer::ok(ended.stdout) }
}

fn set_corosync_conf(form: &HashMap<String, String>) -> Answer {
    match form.get("corosync_conf").filter(|text| !text.trim().is_empty()) {
        None => Answer::bad("Invalid corosync.conf"),
        Some(text) => match files::write_atomically(Path::new(COROSYNC_CONF), text.as_bytes(), 0o644) {
            Ok(()) => Answer::ok("Succeeded"),
            Err(error) => Answer::bad(format!("{COROSYNC_CONF}: {error}")),
        },
    }
}

async fn reload_corosync_conf() -> Answer {
    let ended = command::run("corosync-cfgtool", &["-R"], SHORT).await;
    let (code, message) = if ended.is_success() { ("reloaded", "") } else { ("failed", ended.stderr.trim()) };
    Answer::ok(json!({"code": code, "message": message}).to_string())
}

fn cluster_name() -> String {
    let text = std::fs::read_to_string(COROSYNC_CONF).unwrap_or_default();
    let line = text.lines().find_map(|line| line.trim().strip_prefix("cluster_name:"));
    line.unwrap_or("").trim().to_string()
}

async fn check_host() -> Value {
    let mut services = Map::new();
    let versions = [("pacemaker", "2.1.5"), ("corosync", "3.1.7"), ("pcsd", "0.11.5")];
    for name in ["pacemaker", "pacemaker_remote", "corosync", "pcsd", "sbd", "qdevice", "booth"] {
        let version = versions.iter().find(|(known, _)| *known == name).map(|(_, version)| *version);
        let installed = version.is_some();
        let (enabled, running) = if installed {
            (systemctl("is-enabled", name).await, systemctl("is-active", name).await)
        } else {
            (false, false)
        };
        let info =
            json!({"installed": installed, "enabled": enabled, "running": running, "version": version});
        services.insert(name.to_string(), info);
    }
    let exists = Path::new(COROSYNC_CONF).exists() || Path::new(CIB).exists();
    json!({"services": services, "cluster_configuration_exists": exists})
}

async fn systemctl(question: &str, service: &str) -> bool {
    let status = tokio::process::Command::new("systemctl")
        .args([question, "--quiet", service])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .status();
    matches!(tokio::time::timeout(SHORT, status).await, Ok(Ok(status)) if status.success())
}
