//! What the engine knows of this node and the cluster.

use clients::Cmap;
use clients::Error;

/// Most entries of the node list that are looked at.
const MAX_NODES: usize = 384;

/// Identity of this node and the configured nodes.
#[derive(Debug, Clone)]
pub struct Identity {
    pub id: u32,
    pub name: String,
    pub cluster_name: String,
    pub nodes: Vec<(u32, String)>,
}

/// Asks the engine.
///
/// # Errors
/// When the engine does not answer.
pub fn identity(local_id: u32) -> Result<Identity, Error> {
    let mut cmap = Cmap::open()?;
    let mut text = |key: &str| -> Result<Option<String>, Error> {
        Ok(cmap.find(key)?.and_then(|value| value.as_str().map(str::to_string)))
    };
    let cluster_name = text("totem.cluster_name")?.unwrap_or_default();
    let mut nodes = Vec::new();
    for index in 0..MAX_NODES {
        let Some(id) = cmap.find(&format!("nodelist.node.{index}.nodeid"))?.and_then(|value| value.as_u64())
        else {
            break;
        };
        let mut text = |key: &str| -> Result<Option<String>, Error> {
            let value = cmap.find(&format!("nodelist.node.{index}.{key}"))?;
            Ok(value.and_then(|value| value.as_str().map(str::to_string)))
        };
        let name = match text("name")? {
            Some(name) => Some(name),
            // An address is no name; a host name in its place is.
            None => text("ring0_addr")?.filter(|addr| addr.parse::<std::net::IpAddr>().is_err()),
        };
        let id = u32::try_from(id).unwrap_or(0);
        let name = name.unwrap_or_else(|| if id == local_id { host_name() } else { format!("node{id}") });
        nodes.push((id, name));
    }
    let name = nodes.iter().find(|(id, _)| *id == local_id).map_or_else(host_name, |(_, name)| name.clone());
    Ok(Identity { id: local_id, name, cluster_name, nodes })
}

fn host_name() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = text.trim();
    if name.is_empty() { "localhost".to_string() } else { name.to_string() }
}
