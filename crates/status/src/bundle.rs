//! Bundles in the resource list.

use crate::tree::Item;
use crate::{Show, resources};
use scheduler::{Cluster, Replica, RscIx, rf};

fn title(cluster: &Cluster, rsc: RscIx, show: &Show) -> String {
    let r = &cluster.rscs[rsc];
    let (total, image) =
        r.bundle.as_ref().map_or((0, ""), |b| (b.replicas_total, b.image.as_deref().unwrap_or("(null)")));
    let set = if total > 1 { " set" } else { "" };
    let unique = if r.is(rf::UNIQUE) { " (unique)" } else { "" };
    let unmanaged = match (r.is(rf::MAINTENANCE), r.is(rf::MANAGED)) {
        (true, _) => " (maintenance)",
        (_, false) => " (unmanaged)",
        _ => "",
    };
    let description = resources::with_description(cluster, rsc, show);
    format!("Container bundle{set}: {} [{image}]{unique}{description}{unmanaged}", r.id)
}

/// Resources of a replica, in the order in which they are shown.
pub(crate) fn parts(replica: &Replica) -> impl Iterator<Item = RscIx> {
    [replica.ip, replica.child, Some(replica.container), replica.remote].into_iter().flatten()
}

/// The parts of a replica that are shown; `whole`: the bundle itself was asked for.
pub(crate) fn shown_parts(cluster: &Cluster, replica: &Replica, whole: bool, show: &Show) -> Vec<RscIx> {
    parts(replica).filter(|p| !resources::is_filtered(cluster, *p, show, whole)).collect()
}

fn replica_line(cluster: &Cluster, replica: &Replica, show: &Show) -> Option<Item> {
    let child = replica.child.unwrap_or(replica.container);
    let mut name = cluster.printable_id(replica.remote.unwrap_or(replica.container)).to_string();
    if let Some(address) = &replica.ipaddr {
        name += &format!(" ({address})");
    }
    resources::primitive_as(cluster, child, &name, cluster.current_node(replica.container), show)
}

pub(crate) fn bundle(cluster: &Cluster, rsc: RscIx, show: &Show) -> Option<Item> {
    let data = cluster.rscs[rsc].bundle.as_ref()?;
    let whole = resources::names_self(cluster, rsc, show);
    let mut items = Vec::new();
    let mut any = false;
    for replica in &data.replicas {
        if resources::elsewhere(cluster, replica.container, show) {
            continue;
        }
        let visible = shown_parts(cluster, replica, whole, show);
        if show.implicit || (!whole && !visible.is_empty()) {
            any = true;
            let detail = Show { implicit: true, ..show.clone() };
            if data.replicas.len() > 1 {
                items.push(Item::line(format!("Replica[{}]", replica.offset)));
            }
            let parts = visible.iter().flat_map(|p| resources::resource(cluster, *p, &detail)).collect();
            items.push(Item::List(None, parts));
        } else if whole {
            any = true;
            items.extend(replica_line(cluster, replica, show));
        }
    }
    any.then(|| Item::list(title(cluster, rsc, show), items))
}
