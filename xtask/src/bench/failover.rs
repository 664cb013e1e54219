//! What a client sees: planned switch-over, cut cable, power cut, cold start.

use std::path::Path;
use std::time::Instant;

use lab::Stack;

use super::cluster::Cluster;
use super::table::{Row, Table};

const ROUNDS: usize = 3;

/// Runs the steps on both stacks.
pub fn run(program: &Path) -> Result<Table, String> {
    let ours = measure(program, Stack::Relevo)?;
    let theirs = measure(program, Stack::Reference)?;
    let rows = ours.into_iter().zip(theirs);
    let rows = rows
        .map(|((what, ours), (_, theirs))| Row {
            what: what.to_string(),
            ours,
            theirs,
            more_is_better: false,
        })
        .collect();
    let title =
        format!("What a client sees ({ROUNDS} rounds; longest time without an answer, pings every 2 ms)");
    Ok(Table { title, unit: "ms", rows })
}

fn measure(program: &Path, stack: Stack) -> Result<Vec<(&'static str, Vec<f64>)>, String> {
    let cluster = Cluster::up(program, stack)?;
    let mut planned = Vec::new();
    let mut cut = Vec::new();
    let mut kill = Vec::new();
    let mut cold = Vec::new();
    for round in 1..=ROUNDS {
        eprintln!("  {stack:?}, round {round} of {ROUNDS}");
        planned.push(planned_ms(&cluster)?);
        cut.push(cut_ms(&cluster)?);
        kill.push(kill_ms(&cluster)?);
        cold.push(cold_ms(&cluster)?);
    }
    Ok(vec![
        ("planned switch-over (standby)", planned),
        ("cable of the active node cut, nothing configured", cut),
        ("power cut of the active node, nothing configured", kill),
        ("cold start of both nodes until the address is there", cold),
    ])
}

fn active(cluster: &Cluster) -> Result<(&'static str, &'static str), String> {
    match cluster.holder() {
        Some("nodo1") => Ok(("nodo1", "nodo2")),
        Some(_) => Ok(("nodo2", "nodo1")),
        None => Err("no node has the address".into()),
    }
}

fn planned_ms(cluster: &Cluster) -> Result<f64, String> {
    cluster.settle()?;
    let (from, to) = active(cluster)?;
    let gap = cluster.blackout_ms(|cluster| {
        cluster.must(from, "pcs node standby")?;
        cluster.until("the address has moved", |c| c.holder() == Some(to)).map(drop)
    })?;
    cluster.must(from, "pcs node unstandby")?;
    Ok(gap)
}

fn cut_ms(cluster: &Cluster) -> Result<f64, String> {
    cluster.settle()?;
    let (from, to) = active(cluster)?;
    let has = |c: &Cluster, node: &str| {
        let output = c.lab.shell(node, "ip -4 -o addr show");
        output.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains(" 172.31.0.100/"))
    };
    let gap = cluster.blackout_ms(|cluster| {
        cluster.lab.cut(from).map_err(|error| error.to_string())?;
        cluster.until("the other node has the address", |c| has(c, to)).map(drop)
    });
    cluster.lab.heal(from).map_err(|error| error.to_string())?;
    cluster.until("one node has the address", |c| has(c, from) != has(c, to))?;
    gap
}

fn kill_ms(cluster: &Cluster) -> Result<f64, String> {
    cluster.settle()?;
    let (from, to) = active(cluster)?;
    let gap = cluster.blackout_ms(|cluster| {
        cluster.lab.kill(from).map_err(|error| error.to_string())?;
        cluster.until("the address has moved", |c| c.holder() == Some(to)).map(drop)
    });
    cluster.lab.boot(from).map_err(|error| error.to_string())?;
    // The services of a fresh host are not enabled at boot here.
    cluster.until("the node's services start", |c| {
        c.must(from, "systemctl start corosync pacemaker pcsd").is_ok()
    })?;
    gap
}

fn cold_ms(cluster: &Cluster) -> Result<f64, String> {
    cluster.settle()?;
    for service in ["pacemaker", "corosync"] {
        for node in ["nodo1", "nodo2"] {
            cluster.must(node, &format!("systemctl stop {service}"))?;
        }
    }
    let start = Instant::now();
    let commands: Vec<_> = ["nodo1", "nodo2"]
        .into_iter()
        .map(|node| cluster.lab.command(node, &["systemctl", "start", "corosync", "pacemaker"]).spawn())
        .collect();
    cluster.until("the address is there", |c| c.holder().is_some())?;
    let took = start.elapsed().as_secs_f64() * 1000.0;
    for mut command in commands.into_iter().flatten() {
        let _ = command.wait();
    }
    Ok(took)
}
