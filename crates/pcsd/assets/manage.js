"use strict";
// Shows the state that the daemon sends; text only, nothing of it is ever taken as markup.

const place = (id) => document.getElementById(id);

function element(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function showNodes(nodes, resources) {
  place("nodes").replaceChildren(...nodes.map((node) => {
    const card = element("article", "", "card " + node.state);
    card.append(element("h3", node.name), element("p", node.state + (node.dc ? ", leads the cluster" : "")));
    const list = element("ul", "");
    for (const resource of resources.filter((r) => r.nodes.includes(node.name))) {
      list.append(element("li", resource.id, resource.failed ? "bad" : ""));
    }
    card.append(list);
    return card;
  }));
}

function showResources(resources) {
  const rows = resources.map((resource) => {
    const row = element("tr", "");
    const state = resource.failed ? resource.role + ", failed" : resource.role;
    row.append(
      element("td", (resource.inside ? resource.inside + " › " : "") + resource.id),
      element("td", resource.agent),
      element("td", resource.managed ? state : state + ", unmanaged", resource.failed ? "bad" : ""),
      element("td", resource.nodes.join(", ") || "–"),
    );
    return row;
  });
  place("resources").replaceChildren(...rows);
}

function show(state) {
  place("reason").hidden = state.running;
  place("reason").textContent = state.reason || "";
  place("quorum").textContent = !state.running ? "stopped" : state.quorate ? "has quorum" : "no quorum";
  place("quorum").className = "badge " + (state.running && state.quorate ? "good" : "bad");
  showNodes(state.nodes || [], state.resources || []);
  showResources(state.resources || []);
  const failures = state.failures || [];
  place("failed").hidden = failures.length === 0;
  place("failures").replaceChildren(
    ...failures.map((f) => element("li", `${f.operation} on ${f.node}: ${f.result}`)),
  );
  place("changed").textContent = state.changed || "–";
}

const source = new EventSource("/manage/events");
source.onmessage = (message) => {
  place("live").textContent = "live";
  show(JSON.parse(message.data));
};
source.onerror = () => {
  place("live").textContent = "connection lost, trying again";
};
