//! Our client against our server, and servers against clients that misbehave.

#![allow(clippy::unwrap_used)]

use qb::{Client, ConnId, ConnectError, Error, RequestHeader, Server, ServerEvent, ServerOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use sys::{Interest, poll::wait_one};

const LONG: Duration = Duration::from_secs(5);

fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("relevo-qb-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn message(id: i32, body: &[u8]) -> Vec<u8> {
    let mut out = RequestHeader { id, size: (16 + body.len()) as i32 }.encode().to_vec();
    out.extend_from_slice(body);
    out
}

/// Echoes requests; id 2 sends as many events as the body says before answering; runs until dropped.
struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Vec<ServerEvent>>>,
}

impl Echo {
    fn start(name: &str, options: ServerOptions) -> Echo {
        let mut server = Server::bind(name, options).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut log = Vec::new();
            while !flag.load(Ordering::Relaxed) {
                wait_one(server.fd(), Interest::READ, Some(Duration::from_millis(5))).unwrap();
                for event in server.dispatch() {
                    if let ServerEvent::Request(conn, bytes) = &event {
                        answer(&mut server, *conn, bytes);
                    }
                    log.push(event);
                }
            }
            log
        });
        Echo { stop, thread: Some(thread) }
    }

    fn finish(mut self) -> Vec<ServerEvent> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

fn answer(server: &mut Server, conn: ConnId, bytes: &[u8]) {
    if RequestHeader::decode(bytes).unwrap().id == 2 {
        let count = u32::from_ne_bytes(bytes[16..20].try_into().unwrap());
        for index in 0..count {
            let mut event = vec![0u8; 1000];
            event[24..28].copy_from_slice(&index.to_ne_bytes());
            if server.event(conn, &event).is_err() {
                return;
            }
        }
    }
    let _ = server.respond(conn, bytes);
}

#[test]
fn nobody_listening_is_told_apart() {
    assert!(matches!(Client::connect(&name(), 8192), Err(ConnectError::NotRunning { .. })));
}

#[test]
fn refusals_are_told_apart() {
    let name = name();
    let answers = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&answers);
    let options = ServerOptions::new(8192).access(move |credentials| {
        assert_eq!(credentials.pid, std::process::id() as i32);
        Err(if count.fetch_add(1, Ordering::Relaxed) == 0 { 11 } else { 13 })
    });
    let echo = Echo::start(&name, options);
    assert!(matches!(Client::connect(&name, 8192), Err(ConnectError::Again { .. })));
    assert!(matches!(Client::connect(&name, 8192), Err(ConnectError::Access { .. })));
    assert!(matches!(
        Server::bind(&name, ServerOptions::new(8192)),
        Err(qb::ServerError::AlreadyRunning { .. })
    ));
    assert_eq!(echo.finish(), []);
}

#[test]
fn requests_of_all_sizes_come_back() {
    let name = name();
    let echo = Echo::start(&name, ServerOptions::new(100_000));
    let mut client = Client::connect(&name, 50_000).unwrap();
    assert_eq!(client.max_message_size(), 100_000);
    for size in [0, 1, 3, 4, 5, 4095, 4096, 99_984, 17, 99_983, 99_984] {
        let request = message(1, &vec![size as u8; size]);
        assert_eq!(client.request(&request, LONG).unwrap(), request);
    }
    assert_eq!(
        client.send(&message(1, &[0; 100_000])),
        Err(Error::TooBig { bytes: 100_016, limit: 100_000 })
    );
    drop(client);
    std::thread::sleep(Duration::from_millis(50));
    let log = echo.finish();
    assert!(matches!(log.first(), Some(ServerEvent::Connected(..))));
    assert!(matches!(log.last(), Some(ServerEvent::Disconnected(_))));
    assert_eq!(log.len(), 13);
}

#[test]
fn events_beyond_the_ring_arrive_in_order() {
    let name = name();
    let echo = Echo::start(&name, ServerOptions::new(16 * 1024));
    let mut client = Client::connect(&name, 8192).unwrap();
    let count = 500u32;
    client.request(&message(2, &count.to_ne_bytes()), LONG).unwrap();
    for index in 0..count {
        let event = client.recv_event(LONG).unwrap().unwrap();
        assert_eq!(event[24..28], index.to_ne_bytes());
    }
    assert_eq!(client.recv_event(Duration::ZERO), Ok(None));
    drop(echo.finish());
    assert!(!client.is_connected());
    assert_eq!(client.send(&message(1, &[])), Err(Error::Disconnected));
}

#[test]
fn a_client_that_never_reads_is_dropped_and_others_live() {
    let name = name();
    let mut options = ServerOptions::new(16 * 1024);
    options.max_queue_bytes = 100_000;
    let echo = Echo::start(&name, options);
    let mut lazy = Client::connect(&name, 8192).unwrap();
    let mut good = Client::connect(&name, 8192).unwrap();
    lazy.send(&message(2, &1000u32.to_ne_bytes())).unwrap();
    assert_eq!(good.request(&message(1, b"x"), LONG).unwrap(), message(1, b"x"));
    std::thread::sleep(Duration::from_millis(20));
    assert!(!lazy.is_connected());
    assert_eq!(good.request(&message(1, b"y"), LONG).unwrap(), message(1, b"y"));
    drop(echo.finish());
}

#[test]
fn flow_control_stops_and_resumes() {
    let name = name();
    let mut server = Server::bind(&name, ServerOptions::new(16 * 1024)).unwrap();
    let connecting = {
        let name = name.clone();
        std::thread::spawn(move || Client::connect(&name, 8192).unwrap())
    };
    let mut log = Vec::new();
    let pump = |server: &mut Server, log: &mut Vec<ServerEvent>| {
        for _ in 0..20 {
            wait_one(server.fd(), Interest::READ, Some(Duration::from_millis(2))).unwrap();
            log.extend(server.dispatch());
        }
    };
    pump(&mut server, &mut log);
    let mut client = connecting.join().unwrap();
    let conn = server.connections().next().unwrap();
    log.clear();
    client.send(&message(1, b"before")).unwrap();
    server.set_flow(conn, true);
    assert_eq!(client.send(&message(1, b"refused")), Err(Error::Again));
    pump(&mut server, &mut log);
    assert_eq!(log, []);
    server.set_flow(conn, false);
    client.send(&message(1, b"after")).unwrap();
    pump(&mut server, &mut log);
    assert_eq!(
        log,
        [ServerEvent::Request(conn, message(1, b"before")), ServerEvent::Request(conn, message(1, b"after"))]
    );
    server.disconnect(conn);
    assert!(!client.is_connected());
    pump(&mut server, &mut log);
    assert_eq!(log.len(), 2);
}

#[test]
fn rubbish_ends_only_its_sender() {
    let name = name();
    let echo = Echo::start(&name, ServerOptions::new(16 * 1024));
    let mut good = Client::connect(&name, 8192).unwrap();
    // Rubbish instead of a greeting, a half greeting, a greeting that never comes.
    let socket = || sys::socket::unix_connect(sys::socket::UnixAddress::Abstract(&name)).unwrap();
    let (a, b, _c) = (socket(), socket(), socket());
    sys::socket::send(&a, &[0x55; 4000]).unwrap();
    sys::socket::send(&b, &[0xFF; 7]).unwrap();
    // Headers that lie about the length.
    for (id, size) in [(1, 1_000_000), (1, -5), (1, 3), (1, 17), (-3, 16)] {
        let mut bad = Client::connect(&name, 8192).unwrap();
        bad.send(&RequestHeader { id, size }.encode()).unwrap();
        assert_eq!(bad.receive(LONG), Err(Error::Disconnected), "{id} {size}");
    }
    let mut short = Client::connect(&name, 8192).unwrap();
    short.send(b"abc").unwrap();
    assert_eq!(short.receive(LONG), Err(Error::Disconnected));
    assert_eq!(good.request(&message(1, b"x"), LONG).unwrap(), message(1, b"x"));
    drop(echo.finish());
}

#[test]
fn truncated_rings_end_only_their_owner() {
    let name = name();
    let echo = Echo::start(&name, ServerOptions::new(16 * 1024));
    let mut good = Client::connect(&name, 8192).unwrap();
    let before = own_directories(&name);
    let mut bad = Client::connect(&name, 8192).unwrap();
    let mine: Vec<_> = own_directories(&name).into_iter().filter(|d| !before.contains(d)).collect();
    assert_eq!(mine.len(), 1, "{mine:?}");
    for file in std::fs::read_dir(&mine[0]).unwrap() {
        let file = std::fs::OpenOptions::new().write(true).open(file.unwrap().path()).unwrap();
        file.set_len(0).unwrap();
    }
    let _ = bad.send(&message(1, b"x"));
    assert!(bad.receive(Duration::from_millis(300)).is_err());
    assert_eq!(good.request(&message(1, b"x"), LONG).unwrap(), message(1, b"x"));
    drop((bad, good));
    drop(echo.finish());
    assert_eq!(own_directories(&name).len(), 0);
}

/// Directories of rings of a service between this process and itself.
fn own_directories(service: &str) -> Vec<std::path::PathBuf> {
    let prefix = format!("qb-{0}-{0}-", std::process::id());
    std::fs::read_dir("/dev/shm")
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&prefix)))
        .filter(|p| p.join(format!("qb-request-{service}-header")).exists())
        .collect()
}

#[test]
fn a_flood_of_requests_is_served_in_bounded_turns() {
    let name = name();
    let mut server = Server::bind(&name, ServerOptions::new(64 * 1024)).unwrap();
    let sender = {
        let name = name.clone();
        std::thread::spawn(move || {
            let mut client = Client::connect(&name, 8192).unwrap();
            for _ in 0..500 {
                client.send(&message(1, b"")).unwrap();
            }
            client
        })
    };
    let (mut total, mut largest) = (0, 0);
    while total < 501 {
        assert!(wait_one(server.fd(), Interest::READ, Some(LONG)).unwrap().is_some(), "stuck at {total}");
        std::thread::sleep(Duration::from_millis(1));
        let turn = server.dispatch().len();
        largest = largest.max(turn);
        total += turn;
    }
    assert!(largest <= 64, "{largest}");
    drop(sender.join().unwrap());
}

/// Collects what clients ask for, however the server gets it.
fn take_bodies(server: &mut Server, into: &mut Vec<u32>) {
    let mut events = server.dispatch();
    events.extend(server.poll_requests(8));
    for event in events {
        if let ServerEvent::Request(_, bytes) = event {
            into.push(u32::from_ne_bytes(bytes[16..20].try_into().unwrap()));
        }
    }
}

#[test]
fn a_busy_client_is_polled_and_watched_again_when_it_rests() {
    let name = name();
    let mut server = Server::bind(&name, ServerOptions::new(10_000)).unwrap();
    server.set_polling(true);
    let client = std::thread::spawn(move || {
        let mut client = Client::connect(&name, 10_000).unwrap();
        for number in 0..5_000u32 {
            let request = message(1, &number.to_ne_bytes());
            while client.send(&request) == Err(Error::Again) {
                std::thread::yield_now();
            }
        }
        // Long enough to be watched again; the last one must not be overlooked.
        std::thread::sleep(Duration::from_millis(300));
        client.send(&message(1, &5_000u32.to_ne_bytes())).unwrap();
        std::thread::sleep(Duration::from_millis(300));
    });
    let mut got = Vec::new();
    let mut was_polling = false;
    while got.len() < 5_001 {
        let wait = if server.is_polling() { Duration::from_micros(50) } else { LONG };
        was_polling |= server.is_polling();
        let ready = wait_one(server.fd(), Interest::READ, Some(wait)).unwrap();
        assert!(ready.is_some() || wait < LONG, "{} requests, then nobody was told of the next", got.len());
        take_bodies(&mut server, &mut got);
    }
    client.join().unwrap();
    assert!(was_polling);
    assert_eq!(got, (0..=5_000).collect::<Vec<u32>>());
}

#[test]
fn sleeping_clients_are_told_of_every_event() {
    let name = name();
    let mut server = Server::bind(&name, ServerOptions::new(10_000)).unwrap();
    let client = std::thread::spawn(move || {
        let mut client = Client::connect(&name, 10_000).unwrap();
        let mut got = 0u32;
        while got < 3_000 {
            // Waits only when nothing is there, as a poller would.
            match client.recv_event(Duration::ZERO).unwrap() {
                Some(bytes) => {
                    assert_eq!(bytes[24..28], got.to_ne_bytes());
                    got += 1;
                }
                None => {
                    let ready = wait_one(client.event_fd(), Interest::READ, Some(LONG)).unwrap();
                    assert!(ready.is_some(), "event {got} was not told of");
                }
            }
        }
    });
    let conn = loop {
        wait_one(server.fd(), Interest::READ, Some(LONG)).unwrap();
        if let Some(ServerEvent::Connected(conn, _)) = server.dispatch().into_iter().next() {
            break conn;
        }
    };
    for number in 0..3_000u32 {
        let mut event = qb::ResponseHeader { id: 1, size: 28, error: 0 }.encode().to_vec();
        event.extend(number.to_ne_bytes());
        server.event(conn, &event).unwrap();
        if number.is_multiple_of(7) {
            std::thread::sleep(Duration::from_micros(u64::from(number % 5) * 30));
        }
    }
    client.join().unwrap();
}
