// The rows: made once, then changed where something differs.

import { plot, setPlot, setTicks, ticks } from "./charts.js";
import { button, make, say, set, show, style } from "./dom.js";
import { clock, count, duration, speed, whole } from "./words.js";

const CODES = new Set(["rule", "error"]); // of events that have it in words as well
const NARROW = matchMedia("(max-width: 860px)");
const ORDERED = { up: "forced up", down: "disabled", drain: "drained", weight: "other weight" };

/** The two kinds of rows. `page` has the model, the time, and what buttons do. */
export function kinds(page) {
  return {
    service: {
      height: () => (NARROW.matches ? 84 : 60),
      make: () => makeService(page),
      update: (node, row) => updateService(node, row, page),
    },
    server: {
      height: () => (NARROW.matches ? 132 : 48),
      make: () => makeServer(page),
      update: (node, row) => updateServer(node, row, page),
    },
  };
}

function cell(name, ...children) {
  const made = make("div", `cell ${name}`, ...children);
  made.setAttribute("role", "cell");
  return made;
}

function row(name, parts, ...cells) {
  const node = make("div", `row ${name}`, ...cells);
  node.setAttribute("role", "row");
  node.parts = parts;
  return node;
}

function makeService(page) {
  const p = {
    name: make("span", "title"),
    where: make("span", "where"),
    share: make("span", "meter"),
    up: make("span", "up"),
    notes: make("span", "notes"),
    connections: make("span"),
    plot: plot(),
    rate: make("span", "now"),
  };
  p.bar = make("span", "fill");
  p.share.append(p.bar);
  p.turn = button("turn", "", () => page.turn(node.row));
  p.turn.append(make("span", "arrow"), p.name);
  const node = row(
    "service",
    p,
    cell("who", p.turn, p.where),
    cell("standing", p.share, p.up),
    cell("connections number", p.connections),
    cell("rate", p.plot, p.rate),
    cell("note", p.notes),
  );
  return node;
}

function updateService(node, service, page) {
  const p = node.parts;
  const isOpen = page.model.isOpen(service);
  say(p.name, service.title);
  set(p.turn, "title", service.title);
  say(p.where, `${service.name ? service.service : ""}  ${service.scheduler}`.trim());
  set(p.turn, "aria-expanded", String(isOpen));
  const states = service.states;
  const all = service.servers.length;
  const up = (states.up ?? 0) + (states.foreign ?? 0);
  say(p.up, `${whole(up)} of ${whole(all)} up`);
  p.bar.style.width = `${all ? (100 * up) / all : 0}%`;
  const notes = service.owner === "foreign" ? ["foreign: not in the configuration"] : trouble(service);
  say(p.notes, notes.join(", "));
  const spared = (states.disabled ?? 0) + (states.standby ?? 0);
  style(node, `row service${service.serves ? "" : " dead"}${up + spared < all ? " less" : ""}`);
  updateTraffic(p, service, page);
}

function trouble(service) {
  const found = [];
  if (!service.serves) found.push("nobody serves");
  if (service.panicking) found.push("its checks are not believed");
  if (service.quorum_lost) found.push("quorum lost");
  if (service.tier > 0) found.push(`served by backup tier ${service.tier}`);
  if (service.in_kernel === false) found.push("not in the kernel");
  return found;
}

function updateTraffic(p, one, page) {
  const detail = page.model.detail(one.id);
  const active = detail?.active_connections;
  const inactive = detail?.inactive_connections;
  say(p.connections, detail ? `${count(active)} + ${count(inactive)}` : "");
  set(p.connections, "title", detail ? `${active} active, ${inactive} inactive connections` : null);
  const rates = detail?.rates;
  say(p.rate, rates ? `${count(rates[0])}/s\n${speed(rates[1] + rates[2])}` : "");
  set(
    p.rate,
    "title",
    rates ? `${rates[0]} new connections/s, ${speed(rates[1])} in, ${speed(rates[2])} out` : null,
  );
  setPlot(p.plot, page.model.series.get(one.id), "connections");
}

function makeServer(page) {
  const p = {
    state: make("span"),
    where: make("span", "where"),
    ticks: ticks(),
    wanted: make("span", "wanted"),
    kernel: make("span", "kernel"),
    connections: make("span"),
    plot: plot(),
    rate: make("span", "now"),
    why: make("span", "why"),
    since: make("span", "since"),
  };
  p.name = button("name", "", () => page.explain(node.row));
  p.order = button("small", "", () => page.order(node.row, p.action));
  const node = row(
    "server",
    p,
    cell("state", p.state),
    cell("who", p.name, p.where),
    cell("checks", p.ticks),
    cell("weight number", p.wanted, p.kernel),
    cell("connections number", p.connections),
    cell("rate", p.plot, p.rate),
    cell("note", p.why, p.since),
    cell("orders", p.order),
  );
  return node;
}

function updateServer(node, one, page) {
  const p = node.parts;
  const detail = page.model.detail(one.id);
  say(p.state, one.state);
  style(p.state, `pill ${one.state}`);
  say(p.name, one.name);
  set(p.name, "title", `Why is ${one.name} ${one.state}?`);
  say(p.where, one.name === one.where ? "" : one.where);
  setTicks(p.ticks, detail?.ticks ?? "");
  updateWeight(p, one);
  updateTraffic(p, one, page);
  const [why, since] = reason(one, detail, page.now());
  say(p.why, why);
  set(p.why, "title", why || null);
  say(p.since, since);
  style(node, `row server is-${one.state}`);
  p.action = detail?.override ? "enable" : "drain";
  say(p.order, p.action === "enable" ? "Enable" : "Drain");
  set(p.order, "aria-label", `${p.order.textContent} ${one.name}`);
  show(p.order, canOrder(one, page));
}

/** Whether orders can be given to a server here. */
export function canOrder(one, page) {
  return page.mayOrder && one.state !== "foreign" && one.state !== "disabled" && one.rule !== "removed";
}

function updateWeight(p, one) {
  const differs = one.weight !== one.kernel;
  say(p.wanted, one.weight === null ? "out" : String(one.weight));
  say(p.kernel, differs ? `kernel: ${one.kernel ?? "out"}` : "");
}

/** Why a server is as it is, in one line, and since when. */
function reason(one, detail, now) {
  if (!detail) return ["", ""];
  const since = detail.since ? `for ${duration(now - detail.since)}` : "";
  const order = detail.override;
  if (order) {
    const left = order.expires ? `, ${duration(order.expires - now)} left` : "";
    return [`${ORDERED[order.action]} by ${order.who}${order.reason ? `: ${order.reason}` : ""}`, since + left];
  }
  const failed = detail.last_error;
  const isFailing = one.state === "down" || one.state === "unknown" || detail.ticks.endsWith("-");
  if (failed && isFailing) return [failed.detail || failed.error, since];
  if (detail.why.length) return [detail.why[0], since];
  if (failed && now - failed.at < 3600) {
    return [`${failed.detail || failed.error}, ${duration(now - failed.at)} ago`, since];
  }
  return ["", since];
}

/** What an event says, as an element. */
export function eventItem(event) {
  const { service, server, name, reason: why, detail, ...others } = event.facts;
  const item = make("li", `event ${event.level}`);
  const when = make("time", "", clock(event.at));
  when.dateTime = new Date(event.at * 1000).toISOString();
  const facts = Object.entries(others)
    .filter(([key, value]) => value !== null && value !== "" && !(detail && CODES.has(key)))
    .map(([key, value]) => `${key.replaceAll("_", " ")} ${value}`);
  const who = [name ?? server, service].filter(Boolean).join(" of ");
  item.append(make("span", "event-name", event.name), when);
  if (who) item.append(make("span", "event-who", who));
  const said = [why, detail, ...facts].filter(Boolean).join(", ");
  if (said) item.append(make("span", "event-facts", said));
  return item;
}

