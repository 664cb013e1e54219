//! `Dummy`: a resource that does nothing but remember whether it was started. For trying things out.

use std::path::{Path, PathBuf};

use base::OcfExit;

use crate::environment::{Described, metadata};
use crate::{Agent, Outcome, Parameters};

pub(crate) const AGENT: Agent = Agent {
    name: "Dummy",
    providers: &["heartbeat", "pacemaker", "relevo"],
    metadata: describe,
    run,
    supports: |parameters| {
        ["op_sleep", "fail_start_on", "envfile", "passwd"]
            .iter()
            .all(|name| matches!(parameters.text(name), None | Some("0")))
    },
    is_instant: true,
};

const STATE_DIRECTORY: &str = "/run/resource-agents";

/// Where an instance remembers its state.
pub(crate) fn state_file(agent: &str, parameters: &Parameters) -> PathBuf {
    match parameters.text("state") {
        Some(path) => PathBuf::from(path),
        None => Path::new(STATE_DIRECTORY).join(format!("{agent}-{}.state", parameters.instance)),
    }
}

pub(crate) fn remember(file: &Path, text: &str) -> Result<(), Outcome> {
    let written =
        file.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(file, text));
    written.map_err(|error| Outcome::because(OcfExit::UNKNOWN_ERROR, format!("{}: {error}", file.display())))
}

fn run(action: &str, parameters: &Parameters) -> Outcome {
    let file = state_file("Dummy", parameters);
    match action {
        "start" => remember(&file, "").err().unwrap_or(Outcome::of(OcfExit::OK)),
        "stop" => match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Outcome::because(OcfExit::UNKNOWN_ERROR, format!("{}: {error}", file.display()))
            }
            _ => Outcome::of(OcfExit::OK),
        },
        "monitor" | "status" => Outcome::of(if file.exists() { OcfExit::OK } else { OcfExit::NOT_RUNNING }),
        "migrate_to" | "migrate_from" | "reload" | "reload-agent" | "validate-all" => {
            Outcome::of(OcfExit::OK)
        }
        other => Outcome::because(OcfExit::UNIMPLEMENTED, format!("no action '{other}'")),
    }
}

fn describe() -> String {
    let parameter = |name, kind, default, short| Described {
        name,
        kind,
        required: false,
        unique: name == "state",
        default,
        short,
        long: short,
    };
    let parameters = [
        parameter("state", "string", "", "File that remembers the state"),
        parameter("fake", "string", "dummy", "A value without meaning, for tests"),
    ];
    let actions = [
        ("start", "20s", "", ""),
        ("stop", "20s", "", ""),
        ("monitor", "20s", "10s", ""),
        ("reload", "20s", "", ""),
        ("migrate_to", "20s", "", ""),
        ("migrate_from", "20s", "", ""),
        ("validate-all", "20s", "", ""),
        ("meta-data", "5s", "", ""),
    ];
    metadata(
        "Dummy",
        "Does nothing",
        "Remembers whether it was started, and nothing else.",
        &parameters,
        &actions,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_monitor_stop() {
        let file = std::env::temp_dir().join(format!("relevo-dummy-{}", std::process::id()));
        let parameters = Parameters::new("d", [("state".to_string(), file.display().to_string())]);
        assert_eq!(run("monitor", &parameters).exit, OcfExit::NOT_RUNNING);
        assert_eq!(run("start", &parameters).exit, OcfExit::OK);
        assert_eq!(run("monitor", &parameters).exit, OcfExit::OK);
        assert_eq!(run("stop", &parameters).exit, OcfExit::OK);
        assert_eq!(run("stop", &parameters).exit, OcfExit::OK);
        assert_eq!(run("monitor", &parameters).exit, OcfExit::NOT_RUNNING);
        assert_eq!(run("dance", &parameters).exit, OcfExit::UNIMPLEMENTED);
    }
}
