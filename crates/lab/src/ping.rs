//! `ping` for hosts of machines that have none.

use crate::watch::{ICMP, echo_request, parse_echo_reply};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, ToSocketAddrs};
use std::time::{Duration, Instant};
use sys::Interest;

const USAGE: &str = "usage: ping [-c COUNT] [-i SECONDS] [-W SECONDS] [-q] HOST";
/// Exit status when nothing answered.
const STATUS_NO_ANSWER: i32 = 1;
const STATUS_USAGE: i32 = 2;

struct Options {
    count: u32,
    interval: Duration,
    wait: Duration,
    quiet: bool,
    host: String,
}

fn parse(args: &[String]) -> Option<Options> {
    let second = Duration::from_secs(1);
    let mut options =
        Options { count: u32::MAX, interval: second, wait: second, quiet: false, host: String::new() };
    let mut rest = args.iter();
    let seconds = |word: Option<&String>| Duration::try_from_secs_f64(word?.parse().ok()?).ok();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-c" => options.count = rest.next()?.parse().ok().filter(|n| *n > 0)?,
            "-i" => options.interval = seconds(rest.next())?,
            "-W" => options.wait = seconds(rest.next())?,
            "-q" => options.quiet = true,
            host if !host.starts_with('-') && options.host.is_empty() => options.host = host.to_owned(),
            _ => return None,
        }
    }
    (!options.host.is_empty()).then_some(options)
}

/// Entry of the `ping` command: the words after it. Returns the exit status.
pub fn ping_main(args: Vec<OsString>) -> i32 {
    let words: Vec<String> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let Some(options) = parse(&words) else {
        eprintln!("{USAGE}");
        return STATUS_USAGE;
    };
    let found = (options.host.as_str(), 0).to_socket_addrs().ok();
    let address = found.and_then(|mut all| {
        all.find_map(|a| match a.ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        })
    });
    let Some(address) = address else {
        eprintln!("ping: {}: Name or service not known", options.host);
        return STATUS_USAGE;
    };
    match run(&options, address) {
        Ok(received) => i32::from(received == 0) * STATUS_NO_ANSWER,
        Err(e) => {
            eprintln!("ping: {e}");
            STATUS_USAGE
        }
    }
}

/// Pings and reports; returns the number of answers.
fn run(options: &Options, address: Ipv4Addr) -> std::io::Result<u32> {
    let socket = sys::packet::raw_ip_socket(false, ICMP)?;
    let identifier = std::process::id() as u16;
    println!("PING {} ({address}) 12 bytes of data.", options.host);
    let (mut sent, mut received) = (0, 0);
    while sent < options.count {
        sent += 1;
        let start = Instant::now();
        let refused = socket.send_to(&echo_request(identifier, sent), &SocketAddrV4::new(address, 0).into());
        let answered = refused.is_ok() && answer(&socket, address, identifier, sent, options.wait)?;
        if answered {
            received += 1;
        }
        if answered && !options.quiet {
            let ms = start.elapsed().as_secs_f64() * 1000.0;
            println!("12 bytes from {} ({address}): icmp_seq={sent} time={ms:.3} ms", options.host);
        }
        if sent < options.count {
            std::thread::sleep(options.interval.saturating_sub(start.elapsed()));
        }
    }
    let lost = f64::from(sent - received) * 100.0 / f64::from(sent.max(1));
    println!("\n--- {} ping statistics ---", options.host);
    println!("{sent} packets transmitted, {received} received, {lost:.0}% packet loss");
    Ok(received)
}

fn answer(
    socket: &socket2::Socket,
    from: Ipv4Addr,
    identifier: u16,
    number: u32,
    wait: Duration,
) -> std::io::Result<bool> {
    let deadline = Instant::now() + wait;
    let mut buffer = [0u8; 2048];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if sys::poll::wait_one(socket, Interest::READ, Some(left))?.is_none() {
            return Ok(false);
        }
        let length = match sys::socket::receive(socket, &mut buffer) {
            Ok(length) => length,
            Err(sys::Errno::AGAIN) => continue,
            // Nobody has the address now.
            Err(_) => return Ok(false),
        };
        let packet = buffer.get(..length).unwrap_or_default();
        if parse_echo_reply(packet, from, identifier) == Some(number) {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn options_are_understood_or_refused() {
        let options = parse(&words("-c 3 -i 0.2 -W 2 www")).unwrap();
        assert_eq!(
            (options.count, options.interval, options.wait),
            (3, Duration::from_millis(200), Duration::from_secs(2))
        );
        for line in ["-c 0 www", "-c", "-x www", "-i -1 www", "www other", ""] {
            assert!(parse(&words(line)).is_none(), "{line}");
        }
    }
}
