//! The node daemon: HTTPS on port 2224 with pcsd's own calls, tokens, and the page for people.
//!
//! Read [`server`] for the way of a connection, [`remote`] for the table of calls, [`tokens`] and
//! [`files`] for what lies on disk, [`page`] for what a browser sees. Whatever changes the cluster is
//! done by running our own `pcs` on this node, so that both ways have one meaning.

mod auth;
mod certificate;
mod command;
mod files;
mod known_hosts;
mod page;
mod remote;
mod server;
mod sessions;
mod status;
mod sync;
mod tokens;

use std::ffi::OsString;

const EXIT_USAGE: i32 = 64;

/// `pcsd`: serves until it is ended.
pub fn main(args: Vec<OsString>) -> i32 {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_args(args);
    let mut options = server::Options::from_environment();
    loop {
        match parser.next() {
            Ok(None) => break,
            // Used by the daemon itself: name and password on standard input.
            Ok(Some(Long("check-password"))) => return auth::check_password_child(),
            Ok(Some(Long("port"))) => {
                let port = parser.value().ok().and_then(|value| value.parse().ok());
                match port {
                    Some(port) => options.port = port,
                    None => {
                        eprintln!("pcsd: --port needs a number from 1 to 65535");
                        return EXIT_USAGE;
                    }
                }
            }
            Ok(Some(Long("version"))) => {
                println!("pcsd (Relevo) {}", env!("CARGO_PKG_VERSION"));
                return 0;
            }
            Ok(Some(Long("help") | Short('h'))) => {
                println!(
                    "pcsd: the cluster's HTTPS node daemon\n\nUsage: pcsd [--port N] [--version]\nSettings: PCSD_PORT and PCSD_BIND_ADDR in the environment"
                );
                return 0;
            }
            Ok(Some(argument)) => {
                eprintln!("pcsd: {}", argument.unexpected());
                return EXIT_USAGE;
            }
            Err(error) => {
                eprintln!("pcsd: {error}");
                return EXIT_USAGE;
            }
        }
    }
    sys::signal::ignore_sigpipe();
    match server::run(&options) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("pcsd: {error}");
            1
        }
    }
}
