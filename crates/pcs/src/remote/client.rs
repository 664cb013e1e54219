//! One call to many hosts at once, each with its own time limit.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Host;

/// Longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 16 << 20;

/// What goes with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A GET.
    None,
    /// Fields of a form.
    Form(Vec<(String, String)>),
}

/// One request to one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub host: Host,
    /// Path below the root: `remote/auth`.
    pub path: String,
    pub body: Body,
    pub timeout: Duration,
}

/// Why there is no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error(
        "Unable to connect to {node}, check if pcsd is running there or try setting higher timeout with \
         --request-timeout option ({cause})"
    )]
    Unreachable { node: String, cause: String },
    #[error("Unable to authenticate to {0} - (HTTP error: 401), try running 'pcs host auth {0}'")]
    Unauthorized(String),
    #[error("{0}: Permission denied - (HTTP error: 403)")]
    Denied(String),
    #[error("Error connecting to {node} - (HTTP error: {status})")]
    Status { node: String, status: u16, body: String },
}

/// Text of an answer with status 200.
pub type Reply = Result<String, ReplyError>;

/// Makes calls to several hosts in parallel on the calling thread.
pub struct Fleet {
    runtime: tokio::runtime::Runtime,
    tls: TlsConnector,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").finish_non_exhaustive()
    }
}

impl Fleet {
    /// # Errors
    /// A message when the system gives no event loop or the TLS provider is unusable.
    pub fn new() -> Result<Fleet, String> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        let config = super::tls::config().map_err(|e| e.to_string())?;
        Ok(Fleet { runtime, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Makes all calls at once; `each` gets the answers in the order in which they arrive.
    pub fn run(&self, calls: Vec<Call>, mut each: impl FnMut(&Host, Reply)) {
        self.runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for call in calls {
                tasks.spawn(perform(call, self.tls.clone()));
            }
            while let Some(done) = tasks.join_next().await {
                if let Ok((host, reply)) = done {
                    each(&host, reply);
                }
            }
        });
    }
}

async fn perform(call: Call, tls: TlsConnector) -> (Host, Reply) {
    let host = call.host.clone();
    let unreachable = |cause: String| ReplyError::Unreachable { node: host.name.clone(), cause };
    let reply = match tokio::time::timeout(call.timeout, exchange(&call, tls)).await {
        Ok(Ok((status, body))) => judge(&host, status, body),
        Ok(Err(cause)) => Err(unreachable(cause)),
        Err(_) => {
            let ms = call.timeout.as_millis();
            Err(unreachable(format!("Operation timed out after {ms} milliseconds")))
        }
    };
    (host, reply)
}

fn judge(host: &Host, status: StatusCode, body: String) -> Reply {
    let node = host.name.clone();
    match status.as_u16() {
        200..=399 => Ok(body),
        401 => Err(ReplyError::Unauthorized(node)),
        403 => Err(ReplyError::Denied(node)),
        status => Err(ReplyError::Status { node, status, body }),
    }
}

async fn exchange(call: &Call, tls: TlsConnector) -> Result<(StatusCode, String), String> {
    let host = &call.host;
    let stream = TcpStream::connect((host.address.as_str(), host.port))
        .await
        .map_err(|e| format!("Failed to connect to {} port {}: {e}", host.address, host.port))?;
    let name = ServerName::try_from(host.address.clone())
        .or_else(|_| ServerName::try_from("pcsd"))
        .map_err(|e| e.to_string())?;
    let stream = tls.connect(name, stream).await.map_err(|e| format!("TLS: {e}"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // The connection ends with its only exchange; what is wrong with it shows there.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    let response = sender.send_request(request(call)?).await.map_err(|e| e.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await.map_err(|e| e.to_string())?;
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}

fn request(call: &Call) -> Result<Request<Full<Bytes>>, String> {
    let host = &call.host;
    let authority =
        if host.address.contains(':') { format!("[{}]", host.address) } else { host.address.clone() };
    let mut builder = Request::builder()
        .uri(format!("/{}", call.path))
        .header(header::HOST, format!("{authority}:{}", host.port))
        .header(header::USER_AGENT, "pcs")
        .header(header::CONNECTION, "close");
    if !host.token.is_empty() {
        builder = builder.header(header::COOKIE, format!("token={}", host.token));
    }
    let body = match &call.body {
        Body::None => Full::default(),
        Body::Form(fields) => {
            let text: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            builder = builder
                .method(Method::POST)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::CONTENT_LENGTH, text.len());
            Full::new(Bytes::from(text))
        }
    };
    builder.body(body).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_not_there_is_named() {
        let host = Host { address: "127.0.0.1".into(), port: 1, ..Host::unknown("n1") };
        let call = Call {
            host,
            path: "remote/check_auth".into(),
            body: Body::None,
            timeout: Duration::from_secs(5),
        };
        let mut replies = Vec::new();
        Fleet::new().unwrap().run(vec![call], |host, reply| replies.push((host.name.clone(), reply)));
        let (name, Err(error)) = &replies[0] else { panic!("answered") };
        assert_eq!(name, "n1");
        assert!(error.to_string().starts_with("Unable to connect to n1, check if pcsd is running there"));
    }

    #[test]
    fn a_host_that_hangs_is_given_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = Host { address: "127.0.0.1".into(), port, ..Host::unknown("n1") };
        let call = Call { host, path: "x".into(), body: Body::None, timeout: Duration::from_millis(200) };
        let mut errors = Vec::new();
        Fleet::new().unwrap().run(vec![call], |_, reply| errors.push(reply.unwrap_err().to_string()));
        assert!(errors[0].contains("Operation timed out after 200 milliseconds"), "{errors:?}");
    }
}
