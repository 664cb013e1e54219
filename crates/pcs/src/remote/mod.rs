//! Calls to the node daemons of other nodes: pcsd's HTTPS on port 2224, as pcs 0.11 makes them.
//!
//! Every call but the first carries the cookie `token=<token of the host>`. The certificate is not
//! checked: hosts prove themselves by knowing the token that they gave out. Bodies of requests are
//! forms (`application/x-www-form-urlencoded`); `data_json` is a form field with JSON.
//!
//! | call | parameters | answer |
//! |---|---|---|
//! | `POST /remote/auth` | `username`, `password` | the token, or an empty body for a wrong password |
//! | `GET /remote/check_auth?check_auth_only=1` | | 200 when the token is good, 401 otherwise |
//! | `GET /remote/check_host` | | JSON `{"services": {"pacemaker": {"installed", "enabled", "running", "version"}, "corosync", "pcsd", …}, "cluster_configuration_exists": bool}` |
//! | `GET /remote/cluster_destroy` | | text |
//! | `POST /remote/known_hosts_change` | `data_json` = `{"known_hosts_add": {name: {"dest_list": [{"addr", "port"}], "token"}}, "known_hosts_remove": {}}` | 200 |
//! | `POST /remote/remove_file` | `data_json` = `{"pcsd settings": {"type": "pcsd_settings"}}` | JSON `{"files": {name: {"code": "deleted" or "not_found", "message"}}}` |
//! | `POST /remote/put_file` | `data_json` = `{name: {"type": "corosync_authkey" or "pcmk_remote_authkey", "data": base64, "rewrite_existing": true}}`, or `{"corosync.conf": {"type": "corosync_conf", "data": text}}` | JSON `{"files": {name: {"code": "written" or "rewritten" or "same_content", "message"}}}` |
//! | `GET /remote/cluster_start`, `/remote/cluster_enable`, `/remote/cluster_disable` | | text that is shown after the node's name |
//! | `POST /remote/cluster_stop` | `component` = `pacemaker` or `corosync`, `force` = `1` | text |
//! | `POST /remote/set_corosync_conf` | `corosync_conf` | `Succeeded` |
//! | `GET /remote/get_corosync_conf` | | the file |
//! | `GET /remote/get_quorum_info` | | output of `corosync-quorumtool -p -s` |

pub mod client;
pub mod hosts;
mod tls;

pub use client::{Body, Call, Fleet, Reply, ReplyError};
pub use hosts::{Host, KnownHosts};

/// Port of the node daemon.
pub const PORT: u16 = 2224;
