//! What a browser sees: the log-in and one live page.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_FRAME_OPTIONS};
use axum::response::{IntoResponse, Response};

const MANAGE: &str = include_str!("../assets/manage.html");
const LOGIN: &str = include_str!("../assets/login.html");
const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/manage.js");

pub fn manage() -> Response {
    with("text/html; charset=utf-8", MANAGE)
}

/// The log-in form; `refused` after a wrong password.
pub fn login(refused: bool) -> Response {
    let note =
        if refused { "<p class=\"bad\" role=\"alert\">User name or password is wrong.</p>" } else { "" };
    with_owned("text/html; charset=utf-8", LOGIN.replace("<!--note-->", note))
}

pub fn style() -> Response {
    with("text/css; charset=utf-8", STYLE)
}

pub fn script() -> Response {
    with("text/javascript; charset=utf-8", SCRIPT)
}

fn with(kind: &'static str, text: &'static str) -> Response {
    with_owned(kind, text.to_string())
}

fn with_owned(kind: &'static str, text: String) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_FRAME_OPTIONS, "DENY"),
        (CONTENT_SECURITY_POLICY, "default-src 'self'; frame-ancestors 'none'; form-action 'self'"),
    ];
    (headers, text).into_response()
}
