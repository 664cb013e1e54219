//! HTTPS node daemon, log-in, file distribution, web page.
