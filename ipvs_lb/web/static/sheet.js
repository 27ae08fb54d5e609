// The sheet that explains one server, with the orders that can be given to it.

import { plot, setPlot, setTicks, ticks } from "./charts.js";
import { button, get, make } from "./dom.js";
import { canOrder } from "./rows.js";
import { clock, count, duration, plural, speed } from "./words.js";

const RESULTS = 20;
const AGAIN = 4; // seconds between two explanations

export class Sheet {
  constructor(page) {
    this.page = page;
    this.dialog = get("sheet");
    this.body = get("sheet-body");
    get("sheet-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    this.dialog.addEventListener("close", () => {
      this.server = null;
    });
  }

  async open(server) {
    this.server = server;
    get("sheet-title").textContent = server.name;
    get("sheet-service").textContent = `${server.where} of ${server.service.title} (${server.service.key})`;
    this.body.replaceChildren(make("p", "small", "asking the gateway"));
    if (!this.dialog.open) this.dialog.showModal();
    await this.ask();
  }

  /** Explain once more, after an order. */
  async ask() {
    const { server, page } = this;
    if (!server) return;
    const path = `/v1/servers/${encodeURIComponent(`${server.service.key}/${server.where}`)}/explain`;
    try {
      const answer = await page.ask("GET", path);
      if (this.server === server) this.tell(answer.servers[0], answer.at);
    } catch (problem) {
      this.body.replaceChildren(make("p", "problem", problem.message));
    }
  }

  tell({ server: told, state, why, change, checks }, at) {
    const parts = [
      make("p", "verdict", make("span", `pill ${told.state}`, told.state), ` ${state}`),
      list("Why", why.length ? why : ["its checks pass, and nothing holds it back"]),
      list("What would change it", change),
      this.buttons(told),
      this.traffic(told),
      facts(told, at),
      ...checks.map((check) => checkPart(check, at)),
    ];
    const focused = this.body.contains(document.activeElement) && document.activeElement.dataset.action;
    this.body.replaceChildren(...parts.filter(Boolean));
    if (focused) this.body.querySelector(`[data-action="${focused}"]`)?.focus({ preventScroll: true });
  }

  /** Once a second; what it explains changes by and by. */
  tick() {
    this.age = (this.age ?? 0) + 1;
    if (this.server && this.age % AGAIN === 0 && !document.querySelector("#order[open]")) this.ask();
  }

  buttons(told) {
    if (!canOrder(this.server, this.page)) return null;
    const order = (action, text) => {
      const made = button("small", text, () => this.page.order(this.server, action));
      made.dataset.action = action;
      return made;
    };
    const made = make("div", "buttons orders");
    if (told.override) made.append(order("enable", "Enable"));
    made.append(order("drain", "Drain"), order("down", "Disable"), order("weight", "Weight"));
    return made;
  }

  traffic(told) {
    const rates = told.traffic?.per_second;
    if (!rates) return null;
    const series = this.page.model.series.get(this.server.id);
    const drawing = (kind, text) => {
      const made = plot("plot large");
      setPlot(made, series, kind);
      return make("div", "drawing", make("p", "small", text), made);
    };
    return make(
      "section",
      "traffic",
      make("h3", "", "Last ten minutes"),
      drawing("connections", `${count(rates.connections)} new connections/s`),
      drawing("bytes", `${speed(rates.in_bytes)} in, ${speed(rates.out_bytes)} out`),
    );
  }
}

function list(title, sentences) {
  if (!sentences.length) return null;
  const items = sentences.map((one) => make("li", "", one));
  return make("section", "", make("h3", "", title), make("ul", "", ...items));
}

function facts(told, at) {
  const pairs = [
    ["Weight wanted", told.weight ?? "out"],
    ["Weight in the kernel", told.kernel_weight ?? "out"],
    ["Full weight", told.full_weight],
    ["Forwarding", told.forwarding],
    ["Connections", told.active_connections === null ? null
      : `${told.active_connections} active, ${told.inactive_connections} inactive`],
    ["Since", told.since && `${clock(told.since)} (${duration(at - told.since)})`],
    ["Until", told.until && clock(told.until)],
    ["Order", told.override && `${told.override.action} by ${told.override.who}`],
    ["Its reason", told.override?.reason || null],
    ["It ends", told.override?.expires && clock(told.override.expires)],
  ];
  const made = make("dl", "facts");
  for (const [name, value] of pairs) {
    if (value !== null && value !== undefined && value !== "") {
      made.append(make("dt", "", name), make("dd", "", String(value)));
    }
  }
  return make("section", "", make("h3", "", "Now"), made);
}

function checkPart(check, at) {
  const strip = ticks();
  setTicks(strip, check.results.map((one) => (one.passed ? "+" : "-")).join(""));
  const shared = check.shared_by > 1 ? `, shared by ${plural(check.shared_by, "server")}` : "";
  const pace = `every ${check.interval} s, up after ${check.rise}, down after ${check.fall}${shared}`;
  const results = check.results.slice(-RESULTS).reverse().map((one) => resultRow(one, at));
  const table = make("table", "", make("tbody", "", ...results));
  return make("section", "check", make("h3", "", check.check), make("p", "small", pace), strip, table);
}

function resultRow(one, at) {
  const ms = `${(one.timings.total * 1000).toFixed(one.timings.total < 0.01 ? 2 : 0)} ms`;
  const said = one.passed ? "passed" : one.detail || one.error;
  return make(
    "tr",
    one.passed ? "passed" : "failed",
    make("td", "", one.passed ? "✓" : "✕"),
    make("td", "", said),
    make("td", "number", ms),
    make("td", "number", `${duration(at - one.at)} ago`),
  );
}
