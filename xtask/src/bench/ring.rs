//! The ring: throughput, latency, time to notice, formation, cost at rest; each with our engine and
//! with the reference's, and the same client. Both rings are up at the same time and take turns, so
//! that a machine that is busy with other work is so for both.

mod bare;
mod hosts;
pub mod load;

use std::path::Path;
use std::time::{Duration, Instant};

use super::table::{Row, Table};
use hosts::{Beside, PACE, Ring};

const ENGINES: [&str; 2] = ["corosync", "/usr/sbin/corosync"];

/// A way to carry the ring.
struct Carrier {
    name: &'static str,
    /// What goes into section `totem`.
    totem: &'static str,
    /// Configured token timeouts (line of section `totem`, name of the row) at which an engine is killed.
    kills: &'static [(&'static str, &'static str)],
    formations: &'static [u8],
}

const KILLS: &[(&str, &str)] = &[("", "nothing configured"), ("\n token: 1000", "token 1000")];
const FORMATIONS: &[u8] = &[2, 8, 16, 32];
const CARRIERS: &[Carrier] = &[
    Carrier { name: "udpu", totem: "transport: udpu", kills: KILLS, formations: FORMATIONS },
    Carrier { name: "knet", totem: "transport: knet", kills: KILLS, formations: FORMATIONS },
    Carrier {
        name: "knet+aes256/sha256",
        totem: "transport: knet\n crypto_cipher: aes256\n crypto_hash: sha256",
        kills: &[],
        formations: &[],
    },
];
const SIZES: &[u64] = &[64, 1024, 65_536];
/// How often the engines take turns, and how long each one is flooded then.
const ROUNDS: usize = 3;
const FLOOD_MS: u64 = 900;
/// What takes longer than this in one engine is not repeated with it.
const REPEAT_LIMIT: Duration = Duration::from_secs(12);
/// Nor is anything of this kind after so long a run: each row is there then, but with one value.
const REPEATS_UNTIL: Duration = Duration::from_secs(5 * 60);
/// How long the daemons are watched at rest.
const REST: Duration = Duration::from_secs(5);

/// What to measure: rows whose text has one of the words, or all rows.
struct Choice(Vec<String>);

impl Choice {
    /// `[--only WORD]…`
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut words = Vec::new();
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            match (option.as_str(), rest.next()) {
                ("--only", Some(word)) => words.push(word.clone()),
                _ => return Err("bench ring [--only WORD]…: rows with all these words".into()),
            }
        }
        Ok(Self(words))
    }

    fn has(&self, what: &str) -> bool {
        self.0.iter().all(|word| what.contains(word.as_str()))
    }
}

/// The rows as they come in.
struct Bench {
    choice: Choice,
    start: Instant,
    rows: Vec<Row>,
}

/// Both values, ours first.
type Pair = [Vec<f64>; 2];

impl Bench {
    fn wants(&self, what: &str) -> bool {
        self.choice.has(what)
    }

    fn add(&mut self, what: String, more_is_better: bool, values: Pair) {
        let [ours, theirs] = values;
        let row = Row { what, ours, theirs, more_is_better };
        eprintln!("  {:>4} s  {}", self.start.elapsed().as_secs(), row.text());
        self.rows.push(row);
    }

    /// What no engine can undercut here, with the same value for both.
    fn bare(&mut self, program: &Path) -> Result<(), String> {
        let what = "the bare way of a round trip, sockets and nothing else, ms".to_owned();
        if self.wants(&what) {
            let times = Ring::hosts(program, ENGINES[0], CARRIERS[0].totem, 2)?.bare()?;
            self.add(what, false, [times.clone(), times]);
        }
        Ok(())
    }

    fn carrier(&mut self, program: &Path, carrier: &Carrier) -> Result<(), String> {
        self.two(program, carrier)?;
        self.three(program, carrier)?;
        for kill in carrier.kills {
            self.kills(program, carrier, *kill)?;
        }
        for nodes in carrier.formations {
            self.formation(program, carrier, *nodes);
        }
        Ok(())
    }

    /// Who does not get there in time has no value; the other one keeps its own.
    fn formation(&mut self, program: &Path, carrier: &Carrier, nodes: u8) {
        let what = format!("{}, {nodes} nodes from cold, ms", carrier.name);
        if !self.wants(&what) {
            return;
        }
        let form = |at: usize| Ring::hosts(program, ENGINES[at], carrier.totem, nodes)?.form();
        self.turns(what, |at| form(at).map(|time| time.as_secs_f64() * 1e3));
    }

    fn kills(&mut self, program: &Path, carrier: &Carrier, kill: (&str, &str)) -> Result<(), String> {
        let (line, name) = kill;
        let what = format!("{}, {name}, engine killed until the new membership, ms", carrier.name);
        if self.wants(&what) {
            let mut rings = formed(program, &format!("{}{line}", carrier.totem), 2)?;
            self.turns(what, |at| rings[at].kill());
        }
        Ok(())
    }

    /// The engines take turns; each has its first one, and more while that does not take it too long.
    fn turns(&mut self, what: String, mut measure: impl FnMut(usize) -> Result<f64, String>) {
        let mut values: Pair = [Vec::new(), Vec::new()];
        let mut used = [Duration::ZERO; 2];
        for _ in 0..ROUNDS {
            for at in 0..ENGINES.len() {
                let is_late = !values[at].is_empty() && self.start.elapsed() > REPEATS_UNTIL;
                if is_late || used[at] > REPEAT_LIMIT {
                    continue;
                }
                let start = Instant::now();
                match measure(at) {
                    Ok(value) => values[at].push(value),
                    Err(reason) => eprintln!("  {what}: {}: {reason}", ENGINES[at]),
                }
                used[at] += start.elapsed();
            }
        }
        self.add(what, false, values);
    }

    fn two(&mut self, program: &Path, carrier: &Carrier) -> Result<(), String> {
        let name = carrier.name;
        let floods = floods(name, 2);
        let rest = format!("{name}, round trip at rest, ms");
        let paced = format!("{name}, round trip beside {PACE} messages/s of 1 KiB, ms");
        let loaded = format!("{name}, round trip beside as many as the engine takes, ms");
        let cost = format!("{name}, processor at rest, %");
        let memory = format!("{name}, memory, MB");
        let single = [&rest, &paced, &loaded, &cost, &memory];
        if !floods.iter().any(|(what, _)| self.wants(what)) && !single.iter().any(|what| self.wants(what)) {
            return Ok(());
        }
        let rings = formed(program, carrier.totem, 2)?;
        for (what, size) in floods {
            self.flood(what, size, &rings)?;
        }
        for (what, beside) in [(rest, Beside::Nothing), (paced, Beside::Paced), (loaded, Beside::Flood)] {
            if self.wants(&what) {
                let times = both([0, 1].map(|at| rings[at].latency(beside)))?;
                self.add(what, false, times);
            }
        }
        if self.wants(&cost) || self.wants(&memory) {
            let before = both([0, 1].map(|at| rings[at].processor_seconds().map(|s| vec![s])))?;
            std::thread::sleep(REST);
            let after = both([0, 1].map(|at| rings[at].processor_seconds().map(|s| vec![s])))?;
            let share = |at: usize| vec![(after[at][0] - before[at][0]) / REST.as_secs_f64() * 100.0];
            self.add(cost, false, [share(0), share(1)]);
            self.add(memory, false, both([0, 1].map(|at| rings[at].megabytes().map(|mb| vec![mb])))?);
        }
        Ok(())
    }

    fn three(&mut self, program: &Path, carrier: &Carrier) -> Result<(), String> {
        let floods = floods(carrier.name, 3);
        if floods.iter().any(|(what, _)| self.wants(what)) {
            let rings = formed(program, carrier.totem, 3)?;
            for (what, size) in floods {
                self.flood(what, size, &rings)?;
            }
        }
        Ok(())
    }

    fn flood(&mut self, what: String, size: u64, rings: &[Ring; 2]) -> Result<(), String> {
        if !self.wants(&what) {
            return Ok(());
        }
        let mut values: Pair = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (ring, values) in rings.iter().zip(&mut values) {
                values.push(ring.throughput(size, FLOOD_MS)?);
            }
        }
        self.add(what, true, values);
        Ok(())
    }
}

fn floods(carrier: &str, nodes: u8) -> Vec<(String, u64)> {
    let row = |size: &u64| (format!("{carrier}, {nodes} nodes send {size} B, messages/s"), *size);
    SIZES.iter().map(row).collect()
}

fn formed(program: &Path, totem: &str, nodes: u8) -> Result<[Ring; 2], String> {
    let [ours, theirs] = ENGINES.map(|engine| Ring::hosts(program, engine, totem, nodes));
    let mut rings = [ours?, theirs?];
    for ring in &mut rings {
        ring.form()?;
    }
    Ok(rings)
}

fn both(values: [Result<Vec<f64>, String>; 2]) -> Result<Pair, String> {
    let [ours, theirs] = values;
    Ok([ours?, theirs?])
}

/// What else the machine had to do, so that nobody must remember it beside the table.
fn circumstances() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    format!("{processors} processors, load average before the run {load}")
}

/// Measures what is chosen on both engines. True: everything was.
///
/// # Errors
/// What went wrong, as text.
pub fn run(program: &Path, arguments: &[String]) -> Result<(Table, bool), String> {
    let choice = Choice::parse(arguments)?;
    let is_all = choice.0.is_empty();
    crate::run::command("cargo", &["build", "--release", "--quiet", "--package", "xtask"])?;
    super::install("xtask")?;
    let title = format!("The ring ({})", circumstances());
    let mut bench = Bench { choice, start: Instant::now(), rows: Vec::new() };
    bench.bare(program)?;
    for carrier in CARRIERS {
        bench.carrier(program, carrier)?;
    }
    Ok((Table { title, unit: "", rows: bench.rows }, is_all))
}
