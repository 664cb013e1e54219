//! `pcs host`: exchange of tokens with other nodes' daemons.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::Duration;

use crate::context::Context;
use crate::remote::{Body, Call, Fleet, Host, KnownHosts, PORT, ReplyError};
use crate::report::{Failure, Message, Outcome};
use crate::router::Command;
use crate::words::pairs;

pub const COMMANDS: &[Command] = &[
    Command {
        path: "host auth",
        synopsis: "(<host name> [addr=<address>[:<port>]])... [-u <username>] [-p <password>]",
        about: "Log in to the node daemons of the hosts and remember their tokens; other commands then \
                reach them. Without -u and -p the name and password are asked for.",
        options: &["-u", "-p", "--token"],
        run: auth,
    },
    Command {
        path: "host deauth",
        synopsis: "[<host name>]...",
        about: "Forget the tokens of hosts, without a name of all hosts.",
        options: &[],
        run: deauth,
    },
];

pub(super) fn load(context: &Context<'_>) -> Result<KnownHosts, Failure> {
    KnownHosts::load(&context.paths.known_hosts).map_err(Failure::Error)
}

/// Opens the way to other nodes.
pub(super) fn fleet() -> Result<Fleet, Failure> {
    Fleet::new().map_err(|e| Failure::Error(format!("unable to start communication with nodes: {e}")))
}

pub(super) fn timeout(context: &Context<'_>) -> Duration {
    Duration::from_secs(context.options.request_timeout_s())
}

fn auth(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if words.is_empty() {
        return Err(Failure::usage("No host specified"));
    }
    let wanted = parse(words)?;
    let mut known = load(context)?;
    let (user, password) = credentials(context)?;
    let form = vec![("username".to_string(), user), ("password".to_string(), password)];
    let calls = wanted.iter().map(|host| Call {
        host: host.clone(),
        path: "remote/auth".into(),
        body: Body::Form(form.clone()),
        timeout: timeout(context),
    });
    let mut failed = false;
    let mut new = Vec::new();
    fleet()?.run(calls.collect(), |host, reply| {
        let message = match reply {
            Ok(token) if !token.trim().is_empty() => {
                new.push(Host { token: token.trim().to_string(), ..host.clone() });
                Message::Info(format!("{}: Authorized", host.name))
            }
            Ok(_) => {
                failed = true;
                Message::Error(format!("{}: Username and/or password is incorrect", host.name))
            }
            Err(_) => {
                failed = true;
                Message::Error(format!("Unable to communicate with {}", host.name))
            }
        };
        context.message(message);
    });
    if !new.is_empty() {
        known.hosts.extend(new.iter().map(|host| (host.name.clone(), host.clone())));
        known.save(&context.paths.known_hosts).map_err(Failure::Error)?;
        share(context, &known, &new)?;
    }
    if failed { Err(Failure::Exit(1)) } else { Ok(()) }
}

/// In a cluster, its other members learn the new tokens as well.
fn share(context: &mut Context<'_>, known: &KnownHosts, new: &[Host]) -> Outcome {
    let Some(members) = crate::model::nodes::in_corosync_conf(&context.paths.corosync_conf) else {
        return Ok(());
    };
    let targets: Vec<Host> = members
        .iter()
        .filter_map(|name| known.hosts.get(name))
        .filter(|h| !new.contains(h))
        .cloned()
        .collect();
    let body = known_hosts_body(new);
    let calls = targets.into_iter().map(|host| Call {
        host,
        path: "remote/known_hosts_change".into(),
        body: body.clone(),
        timeout: timeout(context),
    });
    let mut failed: Vec<String> = Vec::new();
    fleet()?.run(calls.collect(), |host, reply| {
        if reply.is_err() {
            failed.push(host.name.clone());
        }
    });
    if !failed.is_empty() {
        let list = crate::report::quoted_list(&failed);
        context.warn(format!(
            "Unable to synchronize and save known-hosts on nodes: {list}. Run 'pcs host auth' there."
        ));
    }
    Ok(())
}

/// Form of `known_hosts_change`.
pub(super) fn known_hosts_body(hosts: &[Host]) -> Body {
    let add: serde_json::Map<String, serde_json::Value> =
        hosts.iter().map(|host| (host.name.clone(), host.to_json())).collect();
    let json = serde_json::json!({"known_hosts_add": add, "known_hosts_remove": {}});
    Body::Form(vec![("data_json".into(), json.to_string())])
}

/// Host names with their options.
fn parse(words: &[String]) -> Result<Vec<Host>, Failure> {
    let mut groups: Vec<(String, Vec<&String>)> = Vec::new();
    for word in words {
        if word.contains('=') {
            match groups.last_mut() {
                Some((_, options)) => options.push(word),
                None => return Err(Failure::usage(format!("Invalid character '=' in host name '{word}'"))),
            }
        } else if groups.iter().any(|(name, _)| name == word) {
            return Err(Failure::usage(format!("Host name '{word}' defined multiple times")));
        } else {
            groups.push((word.clone(), Vec::new()));
        }
    }
    groups.into_iter().map(|(name, options)| host(&name, &options)).collect()
}

fn host(name: &str, options: &[&String]) -> Result<Host, Failure> {
    let options = pairs(options)?;
    if let Some((wrong, _)) = options.iter().find(|(n, _)| *n != "addr") {
        return Err(Failure::usage(format!("Unknown option '{wrong}'")));
    }
    let mut host = Host::unknown(name);
    if let Some(address) = options.value("addr") {
        (host.address, host.port) = split_address(address)?;
    }
    Ok(host)
}

/// `address`, `address:port`, `[v6]:port`.
fn split_address(text: &str) -> Result<(String, u16), Failure> {
    let wrong = |port: &str| {
        Failure::usage(format!("Invalid port number in address '{text}', use 1..65535 instead of '{port}'"))
    };
    let number = |port: &str| port.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(|| wrong(port));
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) =
            rest.split_once(']').ok_or_else(|| Failure::usage(format!("Invalid address '{text}'")))?;
        return match port.strip_prefix(':') {
            Some(port) => Ok((address.into(), number(port)?)),
            None => Ok((address.into(), PORT)),
        };
    }
    match text.split_once(':') {
        Some((address, port)) if !port.contains(':') => Ok((address.into(), number(port)?)),
        _ if text.is_empty() => Err(Failure::usage("Address cannot be empty")),
        _ => Ok((text.into(), PORT)),
    }
}

fn credentials(context: &mut Context<'_>) -> Result<(String, String), Failure> {
    let user = match context.options.value("-u") {
        Some(user) => user.to_string(),
        None => ask("Username: ", true)?,
    };
    let password = match context.options.value("-p") {
        Some(password) => password.to_string(),
        None => ask("Password: ", false)?,
    };
    Ok((user, password))
}

/// Asks on the terminal; a password is not shown while it is typed.
fn ask(question: &str, shown: bool) -> Result<String, Failure> {
    use rustix::termios::{LocalModes, OptionalActions, isatty, tcgetattr, tcsetattr};
    let stdin = std::io::stdin();
    let saved = if !shown && isatty(&stdin) { tcgetattr(&stdin).ok() } else { None };
    if let Some(saved) = &saved {
        let mut quiet = saved.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        // Before the question, and without throwing away what was typed ahead.
        let _ = tcsetattr(&stdin, OptionalActions::Drain, &quiet);
    }
    let _ = write!(std::io::stdout(), "{question}").and_then(|()| std::io::stdout().flush());
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if let Some(saved) = saved {
        let _ = tcsetattr(&stdin, OptionalActions::Drain, &saved);
        let _ = writeln!(std::io::stdout());
    }
    match read {
        Ok(1..) => Ok(line.trim_end_matches(['\n', '\r']).to_string()),
        _ => Err(Failure::error("no input: give the name with -u and the password with -p")),
    }
}

fn deauth(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let mut known = load(context)?;
    if words.is_empty() {
        known.hosts.clear();
    } else {
        let missing: Vec<&String> = words.iter().filter(|w| !known.hosts.contains_key(*w)).collect();
        if !missing.is_empty() {
            let list = crate::report::quoted_list(missing);
            return Err(Failure::Error(format!("Following hosts were not found: {list}")));
        }
        known.hosts.retain(|name, _| !words.contains(name));
    }
    known.save(&context.paths.known_hosts).map_err(Failure::Error)
}

/// Makes the same call to several hosts; answers by name.
pub(super) fn call_all(
    context: &mut Context<'_>,
    hosts: &[Host],
    path: &str,
    body: &Body,
    timeout: Duration,
    mut each: impl FnMut(&mut Context<'_>, &str, &Result<String, ReplyError>),
) -> Result<BTreeMap<String, Result<String, ReplyError>>, Failure> {
    let calls =
        hosts.iter().map(|host| Call { host: host.clone(), path: path.into(), body: body.clone(), timeout });
    let mut replies = BTreeMap::new();
    fleet()?.run(calls.collect(), |host, reply| {
        each(context, &host.name, &reply);
        replies.insert(host.name.clone(), reply);
    });
    Ok(replies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_addresses() {
        let words: Vec<String> =
            "n1 addr=10.0.0.1 n2 addr=[fe80::1]:2225 n3".split(' ').map(String::from).collect();
        let hosts = parse(&words).unwrap();
        let places: Vec<(&str, u16)> = hosts.iter().map(|h| (h.address.as_str(), h.port)).collect();
        assert_eq!(places, [("10.0.0.1", 2224), ("fe80::1", 2225), ("n3", 2224)]);
        for wrong in ["addr=1", "n1 n1", "n1 adr=x", "n1 addr=x:0", "n1 addr=x:70000", "n1 addr=["] {
            let words: Vec<String> = wrong.split(' ').map(String::from).collect();
            assert!(parse(&words).is_err(), "{wrong}");
        }
    }
}
