//! Running our own programs on this node, bounded in time and output.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;

/// Bytes kept of each stream.
const MAX_OUTPUT_BYTES: u64 = 4 << 20;

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn is_success(&self) -> bool {
        self.code == 0
    }

    fn failed(reason: String) -> Ended {
        Ended { code: -1, stdout: String::new(), stderr: reason }
    }
}

/// Runs one of our programs by name.
pub async fn run(program: &str, arguments: &[&str], limit: Duration) -> Ended {
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return Ended::failed(format!("{program}: {error}")),
    };
    let child = tokio::process::Command::new(own)
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Ended::failed(format!("{program}: {error}")),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (stdout, stderr) = tokio::join!(collect(stdout), collect(stderr));
        let code = child.wait().await.ok().and_then(|status| status.code()).unwrap_or(-1);
        Ended { code, stdout, stderr }
    };
    match tokio::time::timeout(limit, work).await {
        Ok(ended) => ended,
        Err(_) => Ended::failed(format!("{program} did not end within {} s", limit.as_secs())),
    }
}

async fn collect(stream: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What cannot be read is not there.
        let _ = stream.take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
