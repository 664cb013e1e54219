//! `Stateful`: as `Dummy`, with two roles. For trying out promotable clones.

use base::OcfExit;

use crate::dummy::{remember, state_file};
use crate::environment::{Described, metadata};
use crate::{Agent, Outcome, Parameters};

/// Sets its node's promotion score, for which it calls `crm_attribute`: so it needs a process.
pub(crate) const AGENT: Agent = Agent {
    name: "Stateful",
    providers: &["pacemaker", "relevo"],
    metadata: describe,
    run,
    supports: |parameters| matches!(parameters.text("envfile"), None | Some("")),
    is_instant: false,
};

const PROMOTED: &str = "promoted";
const UNPROMOTED: &str = "unpromoted";
const PROMOTED_SCORE: &str = "10";
const UNPROMOTED_SCORE: &str = "5";

fn run(action: &str, parameters: &Parameters) -> Outcome {
    let file = state_file("Stateful", parameters);
    let state = std::fs::read_to_string(&file).ok();
    let become_role = |role: &str, score: &str| match remember(&file, role) {
        Ok(()) => {
            set_score(parameters, score);
            Outcome::of(OcfExit::OK)
        }
        Err(outcome) => outcome,
    };
    match action {
        "start" => become_role(UNPROMOTED, UNPROMOTED_SCORE),
        "promote" => become_role(PROMOTED, PROMOTED_SCORE),
        "demote" => become_role(UNPROMOTED, UNPROMOTED_SCORE),
        "stop" => {
            let removed = std::fs::remove_file(&file);
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Outcome::because(OcfExit::UNKNOWN_ERROR, format!("{}: {error}", file.display()))
                }
                _ => Outcome::of(OcfExit::OK),
            }
        }
        "monitor" | "status" => Outcome::of(match state.as_deref().map(str::trim) {
            None => OcfExit::NOT_RUNNING,
            Some(PROMOTED) => OcfExit::RUNNING_PROMOTED,
            Some(_) => OcfExit::OK,
        }),
        "notify" | "validate-all" => Outcome::of(OcfExit::OK),
        other => Outcome::because(OcfExit::UNIMPLEMENTED, format!("no action '{other}'")),
    }
}

fn set_score(parameters: &Parameters, score: &str) {
    let name = format!("master-{}", parameters.instance.split(':').next().unwrap_or(""));
    // Without a cluster (somebody tries the agent by hand) there is nobody to tell.
    let _ = std::process::Command::new("attrd_updater")
        .args(["-n", &name, "-U", score])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
}

fn describe() -> String {
    let parameters = [Described {
        name: "state",
        kind: "string",
        required: false,
        unique: true,
        default: "",
        short: "File that remembers the state",
        long: "File that remembers the state",
    }];
    let actions = [
        ("start", "20s", "", ""),
        ("stop", "20s", "", ""),
        ("promote", "10s", "", ""),
        ("demote", "10s", "", ""),
        ("notify", "5s", "", ""),
        ("monitor", "20s", "10s", "Promoted"),
        ("monitor", "20s", "11s", "Unpromoted"),
        ("validate-all", "20s", "", ""),
        ("meta-data", "5s", "", ""),
    ];
    let long = "Remembers whether it was started and promoted, and nothing else.";
    metadata("Stateful", "Does nothing, in two roles", long, &parameters, &actions)
}
