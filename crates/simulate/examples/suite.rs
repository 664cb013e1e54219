//! Runs the regression suite: `suite DIR [-v] [NAME…]`.

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().unwrap_or_else(|| "../shared/pacemaker-scheduler-suite".into());
    let mut verbose = false;
    let mut names = Vec::new();
    for arg in args {
        if arg == "-v" {
            verbose = true;
        } else {
            names.push(arg);
        }
    }
    let run = move || {
        let report = match simulate::suite::run(dir.as_ref(), &names) {
            Ok(report) => report,
            Err(error) => return eprintln!("{dir}: {error}"),
        };
        for outcome in report.failed() {
            let kinds: Vec<&str> = outcome.failures.iter().map(|(kind, _)| *kind).collect();
            println!("FAILED {} ({})", outcome.name, kinds.join(" "));
            for (kind, diff) in outcome.failures.iter().filter(|_| verbose) {
                println!("--- {kind}\n{diff}");
            }
        }
        println!("{} passed, {} failed", report.passed(), report.failed().len());
    };
    let worker = std::thread::Builder::new().stack_size(1 << 29).spawn(run);
    if let Ok(worker) = worker {
        let _ = worker.join();
    }
}
