//! The reference's own client program against a small server of ours.

#![allow(clippy::unwrap_used)]

use qb::{RequestHeader, ResponseHeader, Server, ServerEvent, ServerOptions};
use std::process::Command;
use std::time::{Duration, Instant};
use sys::Interest;
use sys::namespace::{Kinds, unshare};

const PROGRAM: &str = "/usr/sbin/corosync-cmapctl";
const KEY: &str = "totem.cluster_name";
const VALUE: &[u8] = b"relevo-toy\0";

fn response(id: i32, error: i32, body: &[u8]) -> Vec<u8> {
    let mut out = ResponseHeader { id, size: (24 + body.len()) as i32, error }.encode().to_vec();
    out.extend_from_slice(body);
    out
}

/// Just enough of the cmap service: choose a map, get one string, track one key.
fn answer(server: &mut Server, conn: qb::ConnId, request: &[u8]) {
    let header = RequestHeader::decode(request).unwrap();
    // A name is its length in 8 bytes, then 256 bytes.
    let key = request
        .get(24..280)
        .map(|k| String::from_utf8_lossy(k.split(|b| *b == 0).next().unwrap_or_default()).into_owned());
    let reply = match (header.id, key.as_deref()) {
        (9, _) => response(10, 1, &[]),
        (2, Some(KEY)) => {
            let mut body = (VALUE.len() as u64).to_ne_bytes().to_vec();
            body.extend_from_slice(&[11, 0, 0, 0, 0, 0, 0, 0]);
            let wanted = u64::from_ne_bytes(request[280..288].try_into().unwrap());
            if wanted > 0 {
                body.extend_from_slice(VALUE);
            }
            response(2, 1, &body)
        }
        (2, _) => response(2, 12, &[0; 16]),
        (id, _) => response(id, 19, &[]),
    };
    server.respond(conn, &reply).unwrap();
}

fn serve(server: &mut Server, child: &mut std::process::Child) -> Vec<ServerEvent> {
    let mut log = Vec::new();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(20), "the client program hangs: {log:?}");
        sys::poll::wait_one(server.fd(), Interest::READ, Some(Duration::from_millis(20))).unwrap();
        for event in server.dispatch() {
            if let ServerEvent::Request(conn, bytes) = &event {
                answer(server, *conn, bytes);
            }
            log.push(event);
        }
    }
    std::thread::sleep(Duration::from_millis(20));
    log.extend(server.dispatch());
    log
}

#[test]
fn the_reference_client_reads_a_key_from_our_server() {
    if !std::path::Path::new(PROGRAM).exists() {
        println!("LEFT OUT: {PROGRAM} is not installed");
        return;
    }
    // Abstract sockets belong to a network namespace: a private one keeps away from a real cluster.
    if unshare(Kinds::NET).is_err() {
        println!("LEFT OUT: no right to make a network namespace");
        return;
    }
    let mut server = Server::bind("cmap", ServerOptions::new(1024 * 1024)).unwrap();
    let run = |key: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(["-g", key]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let start = Instant::now();
    for _ in 0..20 {
        let mut child = run(KEY);
        let log = serve(&mut server, &mut child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "totem.cluster_name (str) = relevo-toy\n",
            "{log:?}"
        );
        assert!(matches!(log.first(), Some(ServerEvent::Connected(..))));
        assert!(matches!(log.last(), Some(ServerEvent::Disconnected(_))));
    }
    // A semaphore that does not wake the other process would cost seconds each time.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let mut child = run("totem.absent");
    serve(&mut server, &mut child);
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("Can't get key"), "{output:?}");
}
