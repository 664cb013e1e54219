//! How long commands take on a running cluster, process start included.

use std::path::Path;

use lab::Stack;

use super::cluster::Cluster;
use super::table::{Row, Table};

const ROUNDS: usize = 11;

const COMMANDS: &[&str] = &[
    "pcs status",
    "pcs property config",
    "pcs resource config",
    "crm_mon -1",
    "cibadmin -Q",
    "corosync-quorumtool",
    "pcs resource create D ocf:heartbeat:Dummy",
];

/// Runs the commands on both stacks.
pub fn run(program: &Path) -> Result<Table, String> {
    let ours = measure(program, Stack::Relevo)?;
    let theirs = measure(program, Stack::Reference)?;
    let rows = COMMANDS.iter().zip(ours.into_iter().zip(theirs));
    let rows = rows
        .map(|(what, (ours, theirs))| Row { what: format!("`{what}`"), ours, theirs, more_is_better: false })
        .collect();
    Ok(Table { title: format!("Commands ({ROUNDS} rounds; whole process)"), unit: "ms", rows })
}

fn measure(program: &Path, stack: Stack) -> Result<Vec<Vec<f64>>, String> {
    let cluster = Cluster::up(program, stack)?;
    cluster.settle()?;
    COMMANDS.iter().map(|command| time(&cluster, command)).collect()
}

/// Times in the host itself, so that the way into it does not count.
fn time(cluster: &Cluster, command: &str) -> Result<Vec<f64>, String> {
    let clean =
        if command.contains(" create ") { "pcs resource delete D >/dev/null 2>&1 || exit 1" } else { ":" };
    let script = format!(
        "i=0; while [ $i -lt {ROUNDS} ]; do a=$(date +%s%N); {command} >/dev/null 2>&1; s=$?; b=$(date +%s%N); \
         [ $s -eq 0 ] || exit 1; echo $((b - a)); {clean}; i=$((i + 1)); done"
    );
    let text = cluster.must("nodo1", &script)?;
    let times: Vec<f64> =
        text.lines().filter_map(|line| line.parse::<f64>().ok()).map(|ns| ns / 1e6).collect();
    if times.len() == ROUNDS {
        Ok(times)
    } else {
        Err(format!("{command}: {} of {ROUNDS} rounds", times.len()))
    }
}
