//! A port of the real machine that leads to the floating address inside the lab.

use crate::api::Lab;
use crate::error::{Context, Result};
use crate::layout::FLOATING_ADDRESS;
use crate::services::PCSD_PORT;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Longest wait for a connection inside the lab.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const BUFFER_BYTES: usize = 64 * 1024;

/// Forwards until interrupted.
pub(crate) fn forward(lab: &Lab, port: u16) -> Result<()> {
    // The listening socket stays in the machine's network; what is opened later is in the lab's.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
    crate::enter::enter_network(lab.pid("host")?)?;
    println!("https://127.0.0.1:{port}/manage leads to {FLOATING_ADDRESS}:{PCSD_PORT}; end with Ctrl-C");
    for client in listener.incoming() {
        let Ok(client) = client else { continue };
        // Threads inherit the network namespace.
        std::thread::spawn(move || {
            if let Err(e) = relay(client) {
                eprintln!("relevo lab web: {FLOATING_ADDRESS}:{PCSD_PORT}: {e}");
            }
        });
    }
    Ok(())
}

fn relay(client: TcpStream) -> io::Result<()> {
    let to = SocketAddr::from((FLOATING_ADDRESS, PCSD_PORT));
    let server = TcpStream::connect_timeout(&to, CONNECT_TIMEOUT)?;
    let (client_read, server_write) = (client.try_clone()?, server.try_clone()?);
    let up = std::thread::spawn(move || copy(client_read, server_write));
    copy(server, client);
    let _ = up.join();
    Ok(())
}

/// Copies until either side ends, then ends the other side's half.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(n) if n > 0 && to.write_all(buffer.get(..n).unwrap_or_default()).is_ok() => {}
            _ => break,
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
