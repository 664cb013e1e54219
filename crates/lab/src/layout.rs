//! What the lab consists of and where it is kept.

use crate::error::{Context, Error, Result};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// The lab's domain.
pub const DOMAIN: &str = "example.com";
/// Length of the network's prefix.
pub const PREFIX: u8 = 16;
/// The floating address of the tutorial, `www` in the DNS.
pub const FLOATING_ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 31, 0, 100);
/// The interface of every host.
pub const INTERFACE: &str = "eth0";
/// Most nodes that fit between the first node's address and the floating address.
pub const MAX_NODES: u8 = 64;
/// Default number of nodes.
pub const DEFAULT_NODES: u8 = 2;
/// Names the directory of the lab, instead of the usual place.
pub const DIRECTORY_VARIABLE: &str = "RELEVO_LAB_DIR";

/// Whose programs run in the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stack {
    #[default]
    Relevo,
    /// Debian's corosync, pacemaker, pcs, crmsh.
    Reference,
    /// Debian's corosync, everything else ours.
    ReferenceEngine,
}

impl Stack {
    fn name(self) -> &'static str {
        match self {
            Stack::Relevo => "relevo",
            Stack::Reference => "reference",
            Stack::ReferenceEngine => "reference-engine",
        }
    }

    fn from_name(name: &str) -> Option<Stack> {
        [Stack::Relevo, Stack::Reference, Stack::ReferenceEngine].into_iter().find(|s| s.name() == name)
    }
}

impl std::fmt::Display for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Stack::Relevo => "Relevo",
            Stack::Reference => "reference programs",
            Stack::ReferenceEngine => "Relevo on the reference's corosync",
        })
    }
}

/// What kind of machine a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The person's machine, from which clients watch.
    Person,
    NameServer,
    Node,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Short name: host, dns, nodo1 …
    pub name: String,
    pub role: Role,
    /// Last number of its address.
    pub number: u8,
}

impl Host {
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(172, 31, 0, self.number)
    }

    pub fn full_name(&self) -> String {
        format!("{}.{DOMAIN}", self.name)
    }

    /// Hardware address of its interface.
    pub fn mac(&self) -> [u8; 6] {
        [0x52, 0x54, 0x00, 0x1f, 0x00, self.number]
    }

    /// Name of the switch's port.
    pub fn port(&self) -> String {
        format!("p-{}", self.name)
    }
}

/// The lab's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub nodes: u8,
    pub stack: Stack,
    /// The multi-call program that runs in the hosts.
    pub program: PathBuf,
}

impl Plan {
    /// All hosts, the person's and the name server first.
    pub fn hosts(&self) -> Vec<Host> {
        let host = |name: &str, role, number| Host { name: name.to_owned(), role, number };
        let mut hosts = vec![host("host", Role::Person, 1), host("dns", Role::NameServer, 10)];
        hosts.extend((1..=self.nodes).map(|n| host(&format!("nodo{n}"), Role::Node, 10 + n)));
        hosts
    }

    /// Finds a host by short or full name.
    pub fn host(&self, name: &str) -> Result<Host> {
        let hosts = self.hosts();
        let short = name.strip_suffix(&format!(".{DOMAIN}")).unwrap_or(name);
        hosts.iter().find(|h| h.name == short).cloned().ok_or_else(|| Error::UnknownHost {
            name: name.to_owned(),
            known: hosts.iter().map(|h| h.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    pub(crate) fn encode(&self) -> String {
        format!("nodes={}\nstack={}\nprogram={}\n", self.nodes, self.stack.name(), self.program.display())
    }

    pub(crate) fn decode(text: &str) -> Option<Plan> {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        Some(Plan {
            nodes: value("nodes")?.parse().ok().filter(|n| (1..=MAX_NODES).contains(n))?,
            stack: Stack::from_name(value("stack")?)?,
            program: PathBuf::from(value("program")?),
        })
    }
}

/// Files of a lab.
#[derive(Clone, Debug)]
pub struct Layout {
    pub dir: PathBuf,
}

impl Layout {
    /// The usual place: `$RELEVO_LAB_DIR`, or the run-time directory of the user.
    pub fn usual() -> Layout {
        let named = std::env::var_os(DIRECTORY_VARIABLE).map(PathBuf::from);
        let dir = named.unwrap_or_else(|| {
            let uid = sys::namespace::effective_uid();
            match std::env::var_os("XDG_RUNTIME_DIR") {
                _ if uid == 0 => PathBuf::from("/run/relevo-lab"),
                Some(runtime) => Path::new(&runtime).join("relevo-lab"),
                None => PathBuf::from(format!("/tmp/relevo-lab-{uid}")),
            }
        });
        Layout { dir }
    }

    pub(crate) fn plan_file(&self) -> PathBuf {
        self.dir.join("plan")
    }

    /// Where the keeper takes orders.
    pub(crate) fn control(&self) -> PathBuf {
        self.dir.join("control")
    }

    pub(crate) fn keeper_log(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub(crate) fn host_dir(&self, host: &Host) -> PathBuf {
        self.dir.join("hosts").join(&host.name)
    }

    /// The description of the lab that is up here.
    pub fn plan(&self) -> Result<Plan> {
        let text = match std::fs::read_to_string(self.plan_file()) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Error::NotUp),
            other => other.context(|| format!("cannot read {}", self.plan_file().display()))?,
        };
        let broken = || Error::Failed(format!("{} is damaged", self.plan_file().display()));
        Plan::decode(&text).ok_or_else(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STACKS: [Stack; 3] = [Stack::Relevo, Stack::Reference, Stack::ReferenceEngine];

    #[test]
    fn plan_round_trip_and_names() {
        let plan = Plan { nodes: 5, stack: Stack::ReferenceEngine, program: "/x/relevo".into() };
        assert_eq!(Plan::decode(&plan.encode()), Some(plan.clone()));
        assert_eq!(Plan::decode("nodes=0\nstack=relevo\nprogram=x\n"), None);
        let node = plan.host("nodo5.example.com").unwrap();
        assert_eq!(
            (node.address().to_string(), node.full_name()),
            ("172.31.0.15".into(), "nodo5.example.com".into())
        );
        let message = plan.host("nodo6").unwrap_err().to_string();
        assert_eq!(
            message,
            "there is no host nodo6; the hosts are: host, dns, nodo1, nodo2, nodo3, nodo4, nodo5"
        );
    }

    proptest! {
        #[test]
        fn plans_are_read_as_they_were_written(nodes in 1..=MAX_NODES, stack in 0..STACKS.len(), program in "\\PC{0,30}") {
            let plan = Plan { nodes, stack: STACKS[stack], program: program.into() };
            prop_assert_eq!(Plan::decode(&plan.encode()), Some(plan));
        }

        /// Whatever is read would be written so that it is read the same again, and has hosts with addresses of
        /// their own.
        #[test]
        fn any_plan(
            text in "\\PC{0,60}",
            nodes in "-?[0-9]{0,4}",
            stack in "relevo|reference|reference-engine|[a-z-]{0,9}",
            order in Just([0usize, 1, 2]).prop_shuffle(),
        ) {
            let lines = [format!("nodes={nodes}\n"), format!("stack={stack}\n"), format!("program={text}\n")];
            for text in [text, order.map(|line| lines[line].clone()).concat()] {
                let Some(plan) = Plan::decode(&text) else { continue };
                prop_assert_eq!(Plan::decode(&plan.encode()), Some(plan.clone()));
                let addresses: std::collections::BTreeSet<_> = plan.hosts().iter().map(Host::address).collect();
                prop_assert_eq!(addresses.len(), usize::from(plan.nodes) + 2);
            }
        }
    }
}
