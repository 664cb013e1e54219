//! The least that a round trip can take here: a message goes from a client over a local socket to a relay, over
//! the network to the other host's relay, to a client there, and back the same way. Nobody orders anything; every
//! process sleeps until it is woken, as clients and engines do.

use std::io;
use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// Names of sockets in a host's own name space.
const RELAY: &str = "relevo-bench-relay";
const CLIENT: &str = "relevo-bench-client";
const PORT: u16 = 5999;
const MESSAGE_BYTES: usize = 64;
/// Pause between two messages, as at the ring.
const REST: Duration = Duration::from_millis(37);
/// How long anybody waits before looking at the clock.
const LOOK: Duration = Duration::from_millis(200);

fn local(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(name)
}

fn bound(name: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::bind_addr(&local(name)?)?;
    socket.set_read_timeout(Some(LOOK))?;
    Ok(socket)
}

/// True if nothing came in time.
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Calls `step` until the time is over; that nothing came is no fault.
fn until(end: Instant, mut step: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    while Instant::now() < end {
        if let Err(error) = step()
            && !is_late(&error)
        {
            return Err(error);
        }
    }
    Ok(())
}

/// Carries datagrams between this host's client and the other host's relay.
///
/// # Errors
/// What the system says of the sockets.
pub fn relay(own: &str, other: &str, millis: u64) -> io::Result<()> {
    let end = Instant::now() + Duration::from_millis(millis);
    let network = UdpSocket::bind((own, PORT))?;
    network.set_read_timeout(Some(LOOK))?;
    network.connect((other, PORT))?;
    let (here, client) = (bound(RELAY)?, local(CLIENT)?);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut message = [0; MESSAGE_BYTES];
            until(end, || here.recv(&mut message).and_then(|len| network.send(&message[..len])).map(drop))
        });
        let mut message = [0; MESSAGE_BYTES];
        until(end, || {
            network.recv(&mut message).and_then(|len| here.send_to_addr(&message[..len], &client)).map(drop)
        })
    })
}

/// Sends back what comes.
///
/// # Errors
/// What the system says of the sockets.
pub fn echo(millis: u64) -> io::Result<()> {
    let (socket, relay) = (bound(CLIENT)?, local(RELAY)?);
    let mut message = [0; MESSAGE_BYTES];
    until(Instant::now() + Duration::from_millis(millis), || {
        socket.recv(&mut message).and_then(|len| socket.send_to_addr(&message[..len], &relay)).map(drop)
    })
}

/// Prints how long each of so many round trips took, in µs.
///
/// # Errors
/// What the system says of the sockets.
pub fn ping(count: u64) -> io::Result<()> {
    let (socket, relay) = (bound(CLIENT)?, local(RELAY)?);
    let mut message = [0; MESSAGE_BYTES];
    for _ in 0..count {
        std::thread::sleep(REST);
        let start = Instant::now();
        socket.send_to_addr(&message, &relay)?;
        socket.recv(&mut message)?;
        println!("{}", start.elapsed().as_micros());
    }
    Ok(())
}
