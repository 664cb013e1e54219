//! `--wait` of a start: until the managers of the nodes are members of the cluster.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cmd::host::{call_all, timeout};
use crate::context::{Context, Wait};
use crate::model::state;
use crate::remote::{Body, Host};
use crate::report::{Failure, Message, Outcome};

/// How long to wait when `--wait` names no time, as in the reference.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// Time between two questions.
const INTERVAL: Duration = Duration::from_millis(100);

fn deadline(wait: Wait) -> Instant {
    let limit = match wait {
        Wait::Seconds(seconds) => Duration::from_secs(seconds),
        Wait::No | Wait::Forever => LIMIT,
    };
    Instant::now() + limit
}

/// Waits for the node that this runs on.
///
/// # Errors
/// When the time is up first.
pub(super) fn wait_here(context: &mut Context<'_>, wait: Wait) -> Outcome {
    if wait == Wait::No {
        return Ok(());
    }
    context.info("Waiting for node(s) to start...");
    let end = deadline(wait);
    loop {
        if is_member(context) {
            context.info("Started");
            return Ok(());
        }
        if Instant::now() > end {
            return Err(Failure::error("Waiting timeout"));
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Whether the manager here is a member. A manager that does not answer yet is none.
fn is_member(context: &mut Context<'_>) -> bool {
    let Ok(name) = context.local_node() else { return false };
    context.load().is_ok_and(|cib| state::is_member(&cib, &name))
}

/// Waits for several nodes, each asked through its pcsd.
///
/// # Errors
/// When one does not answer as it should, or the time is up first.
pub(super) fn wait_for(context: &mut Context<'_>, hosts: &[Host], wait: Wait) -> Outcome {
    if wait == Wait::No {
        return Ok(());
    }
    context.info("Waiting for node(s) to start...");
    let end = deadline(wait);
    let mut open = hosts.to_vec();
    let mut failed = false;
    while !open.is_empty() {
        let last = Instant::now() > end;
        let limit = timeout(context);
        let asked = std::mem::take(&mut open);
        call_all(
            context,
            &asked,
            "remote/pacemaker_node_status",
            &Body::None,
            limit,
            |context, name, reply| match verdict(reply.as_ref().map(String::as_str)) {
                Verdict::Started => context.info(format!("{name}: Started")),
                Verdict::NotYet if !last => open.extend(asked.iter().find(|host| host.name == name).cloned()),
                Verdict::NotYet => {
                    failed = true;
                    context.message(Message::Info(format!("{name}: Waiting timeout")));
                }
                Verdict::Never(why) => {
                    failed = true;
                    context.message(Message::Info(format!("{name}: {why}")));
                }
            },
        )?;
        if !open.is_empty() {
            std::thread::sleep(INTERVAL);
        }
    }
    if failed {
        return Err(Failure::error("unable to verify all nodes have started"));
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Started,
    NotYet,
    Never(String),
}

/// What an answer means. Status 400 says that the manager does not answer yet.
fn verdict(reply: Result<&str, &crate::remote::ReplyError>) -> Verdict {
    let text = match reply {
        Ok(text) => text,
        Err(crate::remote::ReplyError::Status { status: 400, .. }) => return Verdict::NotYet,
        Err(error) => return Verdict::Never(error.to_string()),
    };
    let Ok(state) = serde_json::from_str::<Value>(text) else {
        return Verdict::Never("Unable to get node status".to_string());
    };
    let is = |name: &str| state.get(name).and_then(Value::as_bool);
    if is("online") == Some(true) && is("pending") == Some(false) {
        Verdict::Started
    } else {
        Verdict::NotYet
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::ReplyError;

    #[test]
    fn answers_of_nodes() {
        let online = r#"{"online": true, "pending": false}"#;
        assert_eq!(verdict(Ok(online)), Verdict::Started);
        for text in [r#"{"online": true, "pending": true}"#, r#"{"online": false, "offline": true}"#, "{}"] {
            assert_eq!(verdict(Ok(text)), Verdict::NotYet, "{text}");
        }
        assert!(matches!(verdict(Ok("no JSON")), Verdict::Never(_)));
        let busy = ReplyError::Status { node: "a".into(), status: 400, body: String::new() };
        assert_eq!(verdict(Err(&busy)), Verdict::NotYet);
        assert!(matches!(verdict(Err(&ReplyError::Denied("a".into()))), Verdict::Never(_)));
    }
}
