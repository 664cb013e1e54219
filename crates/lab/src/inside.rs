//! Small commands that the lab runs inside its hosts, so that nothing needs to be installed there.

use crate::error::{Context, Error, Result};
use crate::keeper::format_mac;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use sys::rtnl::Rtnl;

/// Prints each address as `INTERFACE ADDRESS/PREFIX`.
pub(crate) fn addresses() -> Result<()> {
    let read = || -> sys::Result<_> {
        let mut rtnl = Rtnl::open()?;
        Ok((rtnl.links()?, rtnl.addresses()?))
    };
    let (links, addresses) = read().context(|| "cannot read the addresses".into())?;
    for address in addresses {
        let link = links.iter().find(|l| l.index == address.index).map_or("?", |l| l.name.as_str());
        println!("{link} {}/{}", address.ip, address.prefix);
    }
    Ok(())
}

/// Prints each neighbour that has a hardware address as `ADDRESS MAC`.
pub(crate) fn neighbours() -> Result<()> {
    let neighbours =
        Rtnl::open().and_then(|mut r| r.neighbours()).context(|| "cannot read the neighbours".into())?;
    for neighbour in neighbours.iter().filter(|n| n.mac.len() == 6) {
        println!("{} {}", neighbour.ip, format_mac(&neighbour.mac));
    }
    Ok(())
}

/// Becomes a program whose controlling terminal is our standard input.
pub(crate) fn on_terminal(words: &[OsString]) -> Result<()> {
    let (program, args) = words.split_first().ok_or_else(|| Error::Failed("no program".into()))?;
    sys::pty::take_controlling_terminal(std::io::stdin()).context(|| "cannot take the terminal".into())?;
    let mut command = Command::new(program);
    sys::child::reset_signals(&mut command);
    Err(command.args(args).exec()).context(|| format!("cannot start {}", program.to_string_lossy()))
}
