//! Switching a host on: namespaces, cable, process 1.

use crate::error::{Context, Error, Result};
use crate::files::HostFiles;
use crate::layout::{Host, INTERFACE, Layout, PREFIX, Plan, Role};
use rustix::fs::{Mode, OFlags};
use std::ffi::OsString;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use sys::namespace::{self, Kinds};
use sys::rtnl::{AddressOptions, Rtnl};

/// Directory inside a host that holds what belongs to the lab.
pub(crate) const RUN_DIRECTORY: &str = "/run/relevo";
/// Where the supervisor of a host takes orders.
pub(crate) const SUPERVISOR_SOCKET: &str = "/run/relevo/systemctl.sock";
/// The multi-call program inside a host.
pub(crate) const PROGRAM: &str = "/run/relevo/relevo";
/// First directory of PATH inside a host.
pub(crate) const BIN_DIRECTORY: &str = "/run/relevo/bin";
/// What process 1 says when it is ready.
pub(crate) const READY: u8 = b'R';
/// Where distributions have systemctl; usually one directory under two names.
const SYSTEMCTL_PATHS: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];
/// Where machines have ping; without it our own stands in.
const PING_PATHS: [&str; 4] = ["/usr/bin/ping", "/bin/ping", "/usr/sbin/ping", "/sbin/ping"];
/// Name of the switch.
pub(crate) const BRIDGE: &str = "switch";

fn own_net_namespace() -> Result<OwnedFd> {
    rustix::fs::open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .context(|| "cannot open the network namespace".into())
}

/// Entry of the short-lived process, started by the keeper in the switch's namespaces, that makes a host.
/// Returns the number of the host's process 1.
pub(crate) fn boot(layout: &Layout, name: &str) -> Result<u32> {
    let plan = layout.plan()?;
    let host = plan.host(name)?;
    let switch = own_net_namespace()?;
    // Asked before the namespaces are made: the first child in the new one becomes its process 1.
    let commands = if host.role == Role::Node { crate::services::commands(&plan) } else { Vec::new() };
    let kinds = Kinds::NET.and(Kinds::MOUNT).and(Kinds::UTS).and(Kinds::IPC).and(Kinds::PID);
    namespace::unshare(kinds).context(|| "cannot make namespaces".into())?;
    let inside = own_net_namespace()?;
    connect_cable(&host, &switch, &inside)?;
    configure_interface(&host)?;
    namespace::make_mounts_private().context(|| "cannot make mounts private".into())?;
    let files = HostFiles::new(layout, &host);
    prepare_run(&plan, &host, &files, commands)?;
    files.mount()?;
    replace_systemctl(&plan)?;
    // Last, because the lab's own files may be below the machine's /run.
    namespace::bind(&files.run, Path::new("/run")).context(|| "cannot mount /run".into())?;
    start_process_one(&host, &plan)
}

fn connect_cable(host: &Host, switch: &OwnedFd, inside: &OwnedFd) -> Result<()> {
    let enter =
        |ns: &OwnedFd| namespace::enter(ns, Kinds::NET).context(|| "cannot enter a network namespace".into());
    enter(switch)?;
    let made = plug_in(host, inside);
    enter(inside)?;
    made.context(|| format!("cannot connect {} to the switch", host.name))
}

fn plug_in(host: &Host, inside: &OwnedFd) -> sys::Result<()> {
    let mut rtnl = Rtnl::open()?;
    // Left over from a host that was just switched off.
    if let Ok(old) = rtnl.link(&host.port()) {
        rtnl.delete_link(old.index)?;
    }
    rtnl.add_veth(&host.port(), INTERFACE, host.mac(), inside)?;
    let (port, bridge) = (rtnl.link(&host.port())?, rtnl.link(BRIDGE)?);
    rtnl.set_master(port.index, bridge.index)?;
    rtnl.set_up(port.index, true)
}

fn configure_interface(host: &Host) -> Result<()> {
    let configure = || -> sys::Result<()> {
        let mut rtnl = Rtnl::open()?;
        let lo = rtnl.link("lo")?;
        rtnl.set_up(lo.index, true)?;
        let link = rtnl.link(INTERFACE)?;
        let options =
            AddressOptions { broadcast: Some(Ipv4Addr::new(172, 31, 255, 255)), ..AddressOptions::default() };
        rtnl.add_address(link.index, host.address().into(), PREFIX, &options)?;
        rtnl.set_up(link.index, true)
    };
    configure().context(|| format!("cannot configure the network of {}", host.name))
}

/// A fresh /run and /dev/shm, with the commands of the node.
fn prepare_run(plan: &Plan, host: &Host, files: &HostFiles, commands: Vec<String>) -> Result<()> {
    let run = &files.run;
    let make = |path: &Path, mode: u32| -> Result<()> {
        let made = std::fs::create_dir_all(path)
            .and_then(|()| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)));
        made.context(|| format!("cannot make {}", path.display()))
    };
    namespace::mount("tmpfs", run, "mode=755").context(|| format!("cannot mount {}", run.display()))?;
    for (dir, mode) in [("lock", 0o1777), ("crm", 0o750), ("resource-agents", 0o755), ("user", 0o755)] {
        make(&run.join(dir), mode)?;
    }
    if host.role == Role::Node {
        // So that pcs takes the systemd way.
        make(&run.join("systemd/system"), 0o755)?;
    }
    let (uid, gid) = files.cluster_ids();
    chown(run.join("crm"), Some(uid), Some(gid)).context(|| "cannot give away /run/crm".into())?;
    let own = run.join("relevo");
    make(&own.join("bin"), 0o755)?;
    let program = own.join("relevo");
    std::fs::write(&program, "").context(|| format!("cannot make {}", program.display()))?;
    namespace::bind(&plan.program, &program)
        .context(|| format!("cannot show {} in the host", plan.program.display()))?;
    link_commands(commands, &own.join("bin"))?;
    namespace::mount("tmpfs", Path::new("/dev/shm"), "mode=1777").context(|| "cannot mount /dev/shm".into())
}

/// Programs that call systemctl by its path must reach the host's supervisor too.
fn replace_systemctl(plan: &Plan) -> Result<()> {
    for path in SYSTEMCTL_PATHS.map(Path::new) {
        if path.symlink_metadata().is_ok_and(|m| m.is_file()) {
            namespace::bind(&plan.program, path).context(|| format!("cannot replace {}", path.display()))?;
            break;
        }
    }
    Ok(())
}

fn link_commands(commands: Vec<String>, bin: &Path) -> Result<()> {
    let mut names = ["relevo", "systemctl"].map(str::to_owned).to_vec();
    if !PING_PATHS.iter().any(|path| Path::new(path).exists()) {
        names.push("ping".to_owned());
    }
    for name in names.into_iter().chain(commands) {
        let link = bin.join(&name);
        if !link.exists() {
            symlink(PROGRAM, &link).context(|| format!("cannot make {}", link.display()))?;
        }
    }
    Ok(())
}

/// Starts the host's process 1 and waits until it is ready.
fn start_process_one(host: &Host, plan: &Plan) -> Result<u32> {
    let (mut read, write) = std::io::pipe().context(|| "cannot make a pipe".into())?;
    let words: [OsString; 4] =
        ["lab".into(), "__init".into(), host.name.clone().into(), plan.encode().into()];
    let child = Command::new(PROGRAM)
        .args(words)
        .env_clear()
        .stdin(Stdio::inherit())
        .stdout(write)
        .spawn()
        .context(|| format!("cannot start {}", host.name))?;
    let mut said = [0];
    match read.read(&mut said) {
        Ok(1) if said == [READY] => Ok(child.id()),
        _ => Err(Error::Failed(format!("{} did not start; see the lab's log", host.name))),
    }
}
