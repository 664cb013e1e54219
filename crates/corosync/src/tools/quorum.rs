//! `corosync-quorumtool`: votes and members.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::time::Duration;

use clients::{Cfg, Cmap, NodeInfo, Quorum, QuorumEvent, VoteQuorum, VoteQuorumEvent, info_flags};
use sys::Interest;

use super::{EXIT_FAILURE, EXIT_OK, arguments, code};

const PROGRAM: &str = "corosync-quorumtool";
const EXIT_NOT_QUORATE: i32 = 2;
/// How long an event is awaited that the engine must send at once.
const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

const USAGE: &str = "usage: 
corosync-quorumtool <options>

  options:

  -s             show quorum status
  -m             constantly monitor quorum status
  -l             list nodes
  -a             show all names or addresses for each node
  -p             when used with -s or -l, generates machine parsable output
  -v <votes>     change the number of votes for a node (*)
  -n <nodeid>    optional nodeid of node for -v
  -e <expected>  change expected votes for the cluster (*)
  -H             show nodeids in hexadecimal rather than decimal
  -i             show node IP addresses instead of the resolved name
  -o <a|n|i>     order by [a] IP address (default), [n] name, [i] nodeid
  -f             forcefully unregister a quorum device *DANGEROUS* (*)
  -h             show this help text
  -V             show version and exit

  (*) Starred items only work if votequorum is the quorum provider for corosync

";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Address,
    Name,
    Id,
}

enum Action {
    Status,
    Monitor,
    Nodes,
    SetVotes(u32),
    SetExpected(u32),
    UnregisterDevice,
}

struct Options {
    action: Action,
    node: Option<u32>,
    hex: bool,
    addresses: bool,
    all_addresses: bool,
    machine: bool,
    order: Order,
}

/// The program.
#[must_use]
pub fn quorumtool(args: Vec<OsString>) -> i32 {
    let options = match parse(&args) {
        Ok(Some(options)) => options,
        Ok(None) => return EXIT_OK,
        Err(problem) => {
            eprint!("{problem}");
            return EXIT_FAILURE;
        }
    };
    let mut session = match Session::open() {
        Ok(session) => session,
        Err(problem) => {
            eprintln!("{problem}");
            return EXIT_FAILURE;
        }
    };
    let outcome = match options.action {
        Action::Status => session.show_status(&options),
        Action::Monitor => session.monitor(&options),
        Action::Nodes => {
            session.read_view().and_then(|view| session.print_nodes(&options, &view).map(|()| EXIT_OK))
        }
        Action::SetVotes(votes) => session.set_votes(options.node, votes),
        Action::SetExpected(votes) => session.set_expected(votes),
        Action::UnregisterDevice => session.unregister_device(),
    };
    outcome.unwrap_or_else(|problem| {
        eprintln!("{problem}");
        EXIT_FAILURE
    })
}

/// None: everything that was asked for has been printed.
fn parse(args: &[OsString]) -> Result<Option<Options>, String> {
    let parsed = arguments::parse(PROGRAM, args, "VHaslpmfe:v:hin:o:", &[])
        .inspect_err(|_| print!("{USAGE}"))
        .map_err(|problem| format!("{problem}\n"))?;
    let mut options = Options {
        action: Action::Status,
        node: None,
        hex: false,
        addresses: false,
        all_addresses: false,
        machine: false,
        order: Order::Address,
    };
    for (letter, value) in parsed.options {
        let number = |min: u32, max: u32| value.parse::<u32>().ok().filter(|n| (min..=max).contains(n));
        let int_max = u32::MAX / 2;
        match letter {
            's' => options.action = Action::Status,
            'm' => options.action = Action::Monitor,
            'l' => options.action = Action::Nodes,
            'f' => options.action = Action::UnregisterDevice,
            'a' => options.all_addresses = true,
            'i' => options.addresses = true,
            'H' => options.hex = true,
            'p' => options.machine = true,
            'e' => {
                let votes = number(1, int_max)
                    .ok_or("New expected votes value was not valid, try a positive number\n")?;
                options.action = Action::SetExpected(votes);
            }
            'v' => {
                let votes = number(0, int_max)
                    .ok_or("New votes value was not valid, try a positive number or zero\n")?;
                options.action = Action::SetVotes(votes);
            }
            'n' => {
                let id = number(1, u32::MAX).ok_or("The nodeid was not valid, try a positive number\n")?;
                options.node = Some(id);
            }
            'o' => {
                options.order = match value.as_str() {
                    "a" => Order::Address,
                    "i" => Order::Id,
                    "n" => Order::Name,
                    _ => {
                        let text =
                            "Invalid ordering option. valid orders are a(address), i(node ID) or n(name)\n";
                        return Err(text.to_owned());
                    }
                }
            }
            'V' => {
                println!("corosync-quorumtool version: {}", crate::VERSION);
                return Ok(None);
            }
            _ => {
                print!("{USAGE}");
                return Ok(None);
            }
        }
    }
    Ok(Some(options))
}

/// Members and ring of the last notification.
struct View {
    quorate: bool,
    ring_sequence: u64,
    members: Vec<u32>,
}

struct Session {
    cmap: Cmap,
    quorum: Quorum,
    cfg: Cfg,
    votequorum: Option<VoteQuorum>,
    provider: Option<String>,
    local: u32,
}

/// Waits for one event.
fn wait(fd: impl AsFd, timeout: Option<Duration>) -> Result<(), String> {
    match sys::poll::wait_one(fd, Interest::READ, timeout) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err("Unable to dispatch quorum status: CS_ERR_TIMEOUT".to_owned()),
        Err(error) => Err(format!("Unable to dispatch quorum status: {error}")),
    }
}

impl Session {
    fn open() -> Result<Self, String> {
        let mut cmap = Cmap::open().map_err(|_| "Cannot initialize CMAP service")?;
        let quorum = Quorum::open().map_err(|_| "Cannot initialize QUORUM service")?;
        let cfg = Cfg::open().map_err(|_| "Cannot initialise CFG service")?;
        let provider = if quorum.is_enabled() {
            cmap.find("quorum.provider").ok().flatten().and_then(|value| value.as_str().map(str::to_owned))
        } else {
            None
        };
        let mut session = Self { cmap, quorum, cfg, votequorum: None, provider, local: 0 };
        if session.provider.as_deref() == Some("corosync_votequorum") {
            let votequorum = VoteQuorum::open().map_err(|_| "Cannot initialise VOTEQUORUM service")?;
            session.votequorum = Some(votequorum);
            let id = session.cmap.find("runtime.votequorum.this_node_id").ok().flatten();
            let id = id.and_then(|value| value.as_u64()).and_then(|id| u32::try_from(id).ok());
            session.local = id.ok_or("Unable to retrieve this_node_id")?;
        }
        Ok(session)
    }

    fn read_view(&mut self) -> Result<View, String> {
        self.quorum
            .track(true, false)
            .map_err(|error| format!("Unable to start quorum status tracking: {}", code(&error).name()))?;
        let view = self.next_view(Some(EVENT_TIMEOUT))?;
        if let Err(error) = self.quorum.track_stop() {
            eprintln!("Unable to stop quorum status tracking: {}", code(&error).name());
        }
        Ok(view)
    }

    fn next_view(&mut self, timeout: Option<Duration>) -> Result<View, String> {
        loop {
            let event = self
                .quorum
                .poll_event()
                .map_err(|error| format!("Unable to dispatch quorum status: {}", code(&error).name()))?;
            match event {
                Some(QuorumEvent::State { quorate, ring_sequence, members }) => {
                    return Ok(View { quorate, ring_sequence, members });
                }
                Some(_) => {}
                None => wait(self.quorum.fd(), timeout)?,
            }
        }
    }

    /// The node that formed the ring, which only votequorum tells.
    fn ring_node(&mut self, track: bool, timeout: Option<Duration>) -> Result<u32, String> {
        let Some(votequorum) = &mut self.votequorum else { return Ok(0) };
        if track {
            votequorum.track(0, true, false).map_err(|error| {
                format!("Unable to start votequorum status tracking: {}", code(&error).name())
            })?;
        }
        loop {
            let event = votequorum
                .poll_event()
                .map_err(|error| format!("Unable to dispatch votequorum status: {}", code(&error).name()))?;
            match event {
                Some(VoteQuorumEvent::Nodes { ring, .. }) => return Ok(ring.node),
                Some(_) => {}
                None => wait(votequorum.fd(), timeout)?,
            }
        }
    }

    fn show_status(&mut self, options: &Options) -> Result<i32, String> {
        let quorate = self
            .quorum
            .is_quorate()
            .map_err(|error| format!("Unable to get cluster quorate status: {}", code(&error).name()))?;
        let view = self.read_view()?;
        let ring_node = self.ring_node(true, Some(EVENT_TIMEOUT))?;
        self.print_status(options, &View { quorate, ..view }, ring_node)?;
        Ok(if quorate { EXIT_OK } else { EXIT_NOT_QUORATE })
    }

    fn monitor(&mut self, options: &Options) -> Result<i32, String> {
        if self.provider.is_none() {
            println!("\nQuorum is not configured - cannot monitor");
            return self.show_status(options);
        }
        let failed = |error: clients::Error| {
            format!("Unable to start quorum status tracking: {}", code(&error).name())
        };
        self.quorum.track(false, true).map_err(failed)?;
        if let Some(votequorum) = &mut self.votequorum {
            votequorum.track(0, false, true).map_err(failed)?;
        }
        loop {
            let view = self.next_view(None)?;
            let ring_node = self.ring_node(false, None)?;
            self.print_status(options, &view, ring_node)?;
            println!();
        }
    }

    fn print_status(&mut self, options: &Options, view: &View, ring_node: u32) -> Result<(), String> {
        println!("Quorum information");
        println!("------------------");
        println!("Date:             {}", jiff::Zoned::now().strftime("%a %b %e %H:%M:%S %Y"));
        println!("Quorum provider:  {}", self.provider.as_deref().unwrap_or("Not configured"));
        println!("Nodes:            {}", view.members.len());
        println!("Node ID:          {}", id_text(self.local, options.hex));
        let Some(votequorum) = &mut self.votequorum else {
            println!("Ring ID:          {:x}", view.ring_sequence);
            println!("Quorate:          {}", if view.quorate { "Yes" } else { "No" });
            return Ok(());
        };
        println!("Ring ID:          {ring_node:x}.{:x}", view.ring_sequence);
        println!("Quorate:          {}", if view.quorate { "Yes" } else { "No" });
        let info = votequorum
            .info(self.local)
            .map_err(|error| format!("Unable to get node info: {}", code(&error).name()))?;
        print_votes(&info);
        self.print_nodes(options, view)
    }

    fn print_nodes(&mut self, options: &Options, view: &View) -> Result<(), String> {
        let mut infos: BTreeMap<u32, NodeInfo> = BTreeMap::new();
        if let Some(votequorum) = &mut self.votequorum {
            for id in &view.members {
                match votequorum.info(*id) {
                    Ok(info) => {
                        infos.insert(*id, info);
                    }
                    Err(_) => println!("Unable to get node {id} info"),
                }
            }
        }
        let has_device = infos.values().any(|info| info.flags & info_flags::DEVICE_REGISTERED != 0);
        let mut rows: Vec<(u32, String)> = Vec::new();
        for id in &view.members {
            rows.push((*id, self.node_name(*id, options)));
        }
        match options.order {
            Order::Address => {}
            Order::Id => rows.sort(),
            Order::Name => rows.sort_by(|a, b| a.1.cmp(&b.1)),
        }
        println!("\nMembership information");
        println!("----------------------");
        let votes_column = self.votequorum.is_some();
        let device_column = votes_column && (has_device || options.machine);
        let mut header = format!("{:>10} ", "Nodeid");
        if votes_column {
            header += &format!("{:>10} ", "Votes");
        }
        if device_column {
            header += &format!("{:>10} ", "Qdevice");
        }
        println!("{header}Name");
        for (id, name) in &rows {
            let mut line = id_column(*id, options.hex);
            let info = infos.get(id);
            if votes_column {
                line += &format!("{:>10} ", info.map_or(0, |info| info.votes));
            }
            if device_column {
                line += &format!("{:>10} ", device_state(info.map_or(0, |info| info.flags)));
            }
            let local = if *id == self.local { " (local)" } else { "" };
            println!("{line}{name}{local}");
        }
        if has_device {
            print_device(options, infos.get(&self.local));
        }
        Ok(())
    }

    /// The name in the node list, or what the first address resolves to.
    fn node_name(&mut self, id: u32, options: &Options) -> String {
        let mut names: Vec<String> = Vec::new();
        if !options.addresses {
            names.extend(self.listed_name(id));
        }
        let addresses = match self.cfg.node_addresses(id) {
            Ok(addresses) => addresses,
            Err(error) => {
                eprintln!("Unable to get node address for nodeid {id}: {}", code(&error).name());
                return String::new();
            }
        };
        let shown = if options.all_addresses { addresses.len() } else { 1 };
        let rest = addresses.iter().take(shown).skip(names.len());
        names.extend(rest.map(ToString::to_string));
        names.join(", ")
    }

    fn listed_name(&mut self, id: u32) -> Option<String> {
        let keys = self.cmap.keys("nodelist.node.").ok()?;
        let own = keys.iter().filter(|key| key.ends_with(".nodeid")).find(|key| {
            let value = self.cmap.find(key).ok().flatten();
            value.and_then(|value| value.as_u64()) == Some(u64::from(id))
        })?;
        let name = self.cmap.find(&own.replace(".nodeid", ".name")).ok().flatten()?;
        name.as_str().filter(|name| !name.is_empty()).map(str::to_owned)
    }

    fn set_votes(&mut self, node: Option<u32>, votes: u32) -> Result<i32, String> {
        let node = node.unwrap_or(self.local);
        let Some(votequorum) = &mut self.votequorum else {
            return Err("You cannot change node votes, corosync is not using votequorum".to_owned());
        };
        votequorum.set_votes(node, votes).map_err(|error| {
            format!("Unable to set votes {votes} for nodeid: {node}: {}", code(&error).name())
        })?;
        Ok(EXIT_OK)
    }

    fn set_expected(&mut self, votes: u32) -> Result<i32, String> {
        let Some(votequorum) = &mut self.votequorum else {
            return Err("You cannot change expected votes, corosync is not using votequorum".to_owned());
        };
        votequorum
            .set_expected(votes)
            .map_err(|error| format!("Unable to set expected votes: {}", code(&error).name()))?;
        Ok(EXIT_OK)
    }

    fn unregister_device(&mut self) -> Result<i32, String> {
        let local = self.local;
        let Some(votequorum) = &mut self.votequorum else {
            return Err("You cannot unregister quorum device, corosync is not using votequorum".to_owned());
        };
        let info = votequorum
            .info(local)
            .map_err(|error| format!("Unable to get quorum device info: {}", code(&error).name()))?;
        if info.flags & info_flags::DEVICE_REGISTERED != 0 {
            votequorum
                .device_unregister(&info.device_name)
                .map_err(|error| format!("Unable to unregister quorum device: {}", code(&error).name()))?;
        }
        Ok(EXIT_OK)
    }
}

fn id_text(id: u32, hex: bool) -> String {
    if hex { format!("0x{id:08x}") } else { id.to_string() }
}

fn id_column(id: u32, hex: bool) -> String {
    if hex { format!("0x{id:08x} ") } else { format!("{id:>10} ") }
}

fn print_votes(info: &NodeInfo) {
    println!("\nVotequorum information");
    println!("----------------------");
    println!("Expected votes:   {}", info.expected_votes);
    println!("Highest expected: {}", info.highest_expected);
    println!("Total votes:      {}", info.total_votes);
    let quorate = info.flags & info_flags::QUORATE != 0;
    println!("Quorum:           {} {}", info.quorum, if quorate { " " } else { "Activity blocked" });
    let names = [
        (info_flags::TWO_NODE, "2Node "),
        (info_flags::QUORATE, "Quorate "),
        (info_flags::WAIT_FOR_ALL, "WaitForAll "),
        (info_flags::LAST_MAN_STANDING, "LastManStanding "),
        (info_flags::AUTO_TIE_BREAKER, "AutoTieBreaker "),
        (info_flags::ALLOW_DOWNSCALE, "AllowDownscale "),
        (info_flags::DEVICE_REGISTERED, "Qdevice "),
    ];
    let flags: String =
        names.iter().filter(|(bit, _)| info.flags & bit != 0).map(|(_, name)| *name).collect();
    println!("Flags:            {flags}");
}

fn device_state(flags: u32) -> String {
    if flags & info_flags::DEVICE_REGISTERED == 0 {
        return "NR".to_owned();
    }
    let pick = |bit: u32, yes: &'static str, no: &'static str| if flags & bit != 0 { yes } else { no };
    format!(
        "{},{},{}",
        pick(info_flags::DEVICE_ALIVE, "A", "NA"),
        pick(info_flags::DEVICE_CAST_VOTE, "V", "NV"),
        pick(info_flags::DEVICE_MASTER_WINS, "MW", "NMW")
    )
}

fn print_device(options: &Options, own: Option<&NodeInfo>) {
    let Some(own) = own else { return };
    let casts = own.flags & info_flags::DEVICE_CAST_VOTE != 0;
    let votes = if casts { own.device_votes } else { 0 };
    let note = if casts { String::new() } else { format!(" (votes {})", own.device_votes) };
    println!("{}{votes:>10}            {}{note}", id_column(0, options.hex), own.device_name);
}
