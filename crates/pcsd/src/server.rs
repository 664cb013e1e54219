//! Connections: TLS, limits, routes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::certificate::{self, CertificateError};
use crate::sessions::Sessions;
use crate::tokens::Tokens;
use crate::{auth, page, remote, status};

const STATE_DIRECTORY: &str = "/var/lib/pcsd";
const DEFAULT_PORT: u16 = 2224;
/// Connections at once.
const MAX_CONNECTIONS: usize = 256;
/// Largest request body, in bytes.
const MAX_BODY_BYTES: usize = 16 << 20;
/// A peer that sends nothing for so long during its handshake or headers is dropped.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often the live page's state is read while somebody looks.
const REFRESH: Duration = Duration::from_millis(1_000);
const SESSION_COOKIE: &str = "pcsd.sid";

/// Where to listen.
#[derive(Debug, Clone)]
pub struct Options {
    pub port: u16,
    pub address: Option<IpAddr>,
}

impl Options {
    /// `PCSD_PORT` and `PCSD_BIND_ADDR`, as in the reference's defaults file.
    pub fn from_environment() -> Options {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.trim().parse().ok());
        let address = std::env::var("PCSD_BIND_ADDR").ok().and_then(|text| text.trim().parse().ok());
        Options { port: number("PCSD_PORT").unwrap_or(DEFAULT_PORT), address }
    }
}

/// Why the daemon could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("port {port} cannot be used: {error}; which program has it: ss -ltnp sport = :{port}")]
    Listen { port: u16, error: std::io::Error },
    #[error("the runtime cannot start: {0}")]
    Runtime(#[from] std::io::Error),
}

struct Shared {
    directory: PathBuf,
    host: String,
    tokens: Tokens,
    sessions: Sessions,
    state: watch::Sender<Arc<Value>>,
}

type App = State<Arc<Shared>>;

/// Serves until the process is ended.
///
/// # Errors
/// [`ServeError`].
pub fn run(options: &Options) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(options))
}

async fn serve(options: &Options) -> Result<(), ServeError> {
    let directory = PathBuf::from(STATE_DIRECTORY);
    let host = host_name();
    let acceptor = TlsAcceptor::from(certificate::server_config(&directory, &host)?);
    let listener = listen(options).await?;
    let tokens = Tokens::new(&directory);
    let (state, _) = watch::channel(Arc::new(json!({"running": false, "reason": "not read yet"})));
    let shared = Arc::new(Shared { directory, host, tokens, sessions: Sessions::default(), state });
    tokio::spawn(watch_cluster(shared.clone()));
    let router = router(shared);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = term.recv() => return Ok(()),
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: wait until others have ended.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            connection(acceptor, stream, router).await;
            drop(place);
        });
    }
}

async fn listen(options: &Options) -> Result<TcpListener, ServeError> {
    let port = options.port;
    if let Some(address) = options.address {
        return TcpListener::bind((address, port)).await.map_err(|error| ServeError::Listen { port, error });
    }
    // One socket serves both families; where IPv6 is switched off the old one is enough.
    match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
            .await
            .map_err(|error| ServeError::Listen { port, error }),
    }
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, router: Router) {
    // A client that breaks off or speaks no TLS is its own problem.
    let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await else { return };
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to("/manage") }))
        .route("/manage", get(manage))
        .route("/login", get(|| async { page::login(false) }).post(log_in))
        .route("/logout", get(log_out).post(log_out))
        .route("/manage/state.json", get(state_json))
        .route("/manage/events", get(events))
        .route("/assets/style.css", get(|| async { page::style() }))
        .route("/assets/manage.js", get(|| async { page::script() }))
        .route("/remote/auth", post(remote_auth).get(remote_auth))
        .route("/remote/{name}", post(remote_call).get(remote_call))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shared)
}

/// Reads the state once in a while, only when somebody looks at it.
async fn watch_cluster(shared: Arc<Shared>) {
    loop {
        if shared.state.receiver_count() > 0 {
            let now = Arc::new(status::cluster().await);
            shared.state.send_if_modified(|old| {
                let changed = **old != *now;
                *old = now.clone();
                changed
            });
        }
        tokio::time::sleep(REFRESH).await;
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn session_user(shared: &Shared, headers: &HeaderMap) -> Option<String> {
    shared.sessions.user(cookie(headers, SESSION_COOKIE)?)
}

async fn manage(State(shared): App, headers: HeaderMap) -> Response {
    match session_user(&shared, &headers) {
        Some(_) => page::manage(),
        None => Redirect::to("/login").into_response(),
    }
}

async fn log_in(State(shared): App, Form(form): Form<HashMap<String, String>>) -> Response {
    let text = |name: &str| form.get(name).map_or("", String::as_str);
    let user = text("username");
    if !auth::check_password(user, text("password")).await {
        return (StatusCode::UNAUTHORIZED, page::login(true)).into_response();
    }
    match shared.sessions.open(user) {
        Ok(secret) => {
            let cookie = format!("{SESSION_COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Lax");
            ([(header::SET_COOKIE, cookie)], Redirect::to("/manage")).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn log_out(State(shared): App, headers: HeaderMap) -> Response {
    if let Some(secret) = cookie(&headers, SESSION_COOKIE) {
        shared.sessions.close(secret);
    }
    Redirect::to("/login").into_response()
}

async fn state_json(State(shared): App, headers: HeaderMap) -> Response {
    match session_user(&shared, &headers) {
        Some(_) => Json(status::cluster().await).into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn events(State(shared): App, headers: HeaderMap) -> Response {
    if session_user(&shared, &headers).is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let receiver = shared.state.subscribe();
    let stream = Events { receiver, first: true };
    Sse::new(stream.into_stream()).keep_alive(KeepAlive::default()).into_response()
}

struct Events {
    receiver: watch::Receiver<Arc<Value>>,
    first: bool,
}

impl Events {
    fn into_stream(self) -> impl futures_core::Stream<Item = Result<Event, Infallible>> {
        async_stream::stream! {
            let mut events = self;
            loop {
                if !events.first && events.receiver.changed().await.is_err() {
                    return;
                }
                events.first = false;
                let state = events.receiver.borrow_and_update().clone();
                yield Ok(Event::default().data(state.to_string()));
            }
        }
    }
}

/// Fields of a form; a body of another kind has none.
fn fields(body: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(body).into_owned().collect()
}

async fn remote_auth(
    State(shared): App,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let form = fields(&body);
    let text = |name: &str| form.get(name).or(query.get(name)).cloned().unwrap_or_default();
    let user = text("username");
    if !auth::check_password(&user, &text("password")).await {
        // The reference's answer to a wrong password is an empty one.
        return String::new().into_response();
    }
    match shared.tokens.create(&user) {
        Ok(token) => token.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("Unable to store token: {error}")).into_response(),
    }
}

async fn remote_call(
    State(shared): App,
    Path(name): Path<String>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let user = cookie(&headers, "token").and_then(|token| shared.tokens.user(token));
    if !user.is_some_and(|user| auth::is_allowed(&user)) {
        return (StatusCode::UNAUTHORIZED, json!({"notauthorized": "true"}).to_string()).into_response();
    }
    let mut all = query;
    all.extend(fields(&body));
    let place = remote::Place { directory: &shared.directory, host: &shared.host };
    match remote::call(&name, &all, &place).await {
        Some(answer) => {
            let code = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (code, answer.text).into_response()
        }
        None => (StatusCode::NOT_FOUND, "{\"error\":\"unknown command\"}").into_response(),
    }
}

fn host_name() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = text.trim();
    if name.is_empty() { "localhost".into() } else { name.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A form as the text that a browser or curl makes of it, some letters escaped although they need not be.
    fn written(pairs: &[(String, String)], escape_all: bool) -> String {
        let word = |text: &str| -> String {
            let one = |byte: u8| match byte {
                b' ' if !escape_all => "+".to_owned(),
                b'a'..=b'z' | b'0'..=b'9' if !escape_all => char::from(byte).to_string(),
                _ if escape_all => format!("%{byte:02x}"),
                _ => format!("%{byte:02X}"),
            };
            text.bytes().map(one).collect()
        };
        let pairs: Vec<String> =
            pairs.iter().map(|(key, value)| format!("{}={}", word(key), word(value))).collect();
        pairs.join("&")
    }

    proptest! {
        /// Every text comes through, and of two fields with one name the last counts.
        #[test]
        fn forms(pairs in proptest::collection::vec(("[a-c&=%+ é]{0,3}", "\\PC{0,12}"), 0..6), escape_all: bool) {
            let model: HashMap<String, String> = pairs.iter().cloned().collect();
            prop_assert_eq!(fields(written(&pairs, escape_all).as_bytes()), model);
        }

        /// Any body is read, with no more fields than it has separators.
        #[test]
        fn any_body(body in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'%'), Just(b'&'), Just(b'=')], 0..80)) {
            let parts = body.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).count();
            let read = fields(&body);
            prop_assert!(read.len() <= parts);
            prop_assert_eq!(read.is_empty(), parts == 0);
        }
    }
}
