//! Memory of all daemons of a node at rest.

use std::path::Path;

use lab::Stack;

use super::cluster::Cluster;
use super::table::{Row, Table};

const GROUPS: &[(&str, &[&str])] =
    &[("engine", &["corosync"]), ("manager", &["pacemaker"]), ("pcsd", &["pcsd", "ruby", "python"])];

/// Reads the resident memory on both stacks.
pub fn run(program: &Path) -> Result<Table, String> {
    let ours = measure(program, Stack::Relevo)?;
    let theirs = measure(program, Stack::Reference)?;
    let rows = GROUPS.iter().enumerate();
    let rows = rows.map(|(i, (what, _))| Row {
        what: (*what).into(),
        ours: vec![ours[i]],
        theirs: vec![theirs[i]],
        more_is_better: false,
    });
    Ok(Table {
        title: "Resident memory of a node's daemons at rest".into(),
        unit: "MB",
        rows: rows.collect(),
    })
}

fn measure(program: &Path, stack: Stack) -> Result<Vec<f64>, String> {
    let cluster = Cluster::up(program, stack)?;
    cluster.settle()?;
    // Names of the whole command line: ours are one program under many names.
    let text = cluster.must("nodo1", "ps -e -o rss=,args=")?;
    Ok(GROUPS.iter().map(|(_, names)| total_mb(&text, names)).collect())
}

fn total_mb(text: &str, names: &[&str]) -> f64 {
    let of_group = |line: &&str| {
        let program = line.split_whitespace().skip(1).take(2).collect::<Vec<_>>().join(" ");
        names.iter().any(|name| program.contains(name))
    };
    let kilobytes: f64 = text
        .lines()
        .filter(of_group)
        .filter_map(|line| line.split_whitespace().next()?.parse::<f64>().ok())
        .sum();
    kilobytes / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_summed_by_group() {
        let text =
            " 2048 /usr/sbin/corosync -f\n 1024 /usr/lib/pacemaker/pacemaker-based\n 3072 pacemakerd -f\n";
        assert_eq!(total_mb(text, &["corosync"]), 2.0);
        assert_eq!(total_mb(text, &["pacemaker"]), 4.0);
        assert_eq!(total_mb(text, &["pcsd"]), 0.0);
    }
}
