//! Runs the regression suite: `scheduler-suite [--diff] [DIR] [NAME…]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (ok, text) = simulate::suite::command(&args);
    print!("{text}");
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
