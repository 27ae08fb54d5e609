// The head of the page: how the gateway is, in few words, and what is wrong, loudly.

import { get, make, say, set, show, style } from "./dom.js";
import { clock, duration, plural, STATES, whole } from "./words.js";

const SHOWN = 6; // problems of a refused configuration, and reasons

export class Overview {
  constructor(page) {
    this.page = page;
    this.told = new Map();
    this.shares = new Map();
  }

  update() {
    const { head, model } = this.page;
    if (!head) return;
    this.gateway(head);
    this.services(model);
    this.servers(model);
    this.kernel(head);
    this.configuration(head);
    this.alarms(head);
    this.title(head, model);
  }

  gateway({ health }) {
    say(get("health"), { fine: "Fine", degraded: "Degraded", failing: "Failing" }[health.status]);
    style(get("health").parentNode, `card health ${health.status}`);
    const [first = "every service is served", ...more] = health.reasons;
    say(get("health-why"), more.length ? `${first}, and ${more.length} more` : first);
    set(get("health-why"), "title", health.reasons.slice(0, 20).join("\n") || null);
  }

  services(model) {
    let served = 0;
    let foreign = 0;
    for (const one of model.services.values()) {
      if (one.owner === "foreign") foreign += 1;
      else if (one.serves) served += 1;
    }
    const ours = model.services.size - foreign;
    say(get("services-count"), served === ours ? whole(ours) : `${whole(served)} of ${whole(ours)}`);
    style(get("services-count").parentNode, `card${served < ours ? " failing" : ""}`);
    const others = foreign ? `, ${plural(foreign, "foreign one")}` : "";
    say(get("services-why"), (served < ours ? `${whole(ours - served)} without a server` : "all of them served") + others);
  }

  servers(model) {
    say(get("servers-count"), `${whole(model.count("up"))} of ${whole(model.total)} up`);
    const words = [];
    for (const state of STATES) {
      const number = model.count(state);
      if (number && state !== "up") words.push(`${whole(number)} ${state}`);
      this.share(state, model.total ? (100 * number) / model.total : 0);
    }
    say(get("servers-why"), words.join(", ") || "all of them");
  }

  share(state, percent) {
    let bar = this.shares.get(state);
    if (!bar) {
      bar = make("span", `part ${state}`);
      this.shares.set(state, bar);
      get("share").prepend(bar);
    }
    const width = percent && Math.max(percent, 1);
    if (bar.percent !== width) {
      bar.percent = width;
      bar.style.flexGrow = width;
      show(bar, width > 0);
    }
  }

  kernel({ kernel }) {
    const ago = kernel.reconciled ? `compared ${duration(this.page.now() - kernel.reconciled)} ago` : "not compared yet";
    say(get("kernel"), kernel.error ? "Unavailable" : "As decided");
    style(get("kernel").parentNode, `card${kernel.error ? " failing" : ""}`);
    const drift = kernel.drifted ? `, ${plural(kernel.drifted, "repair")} of what others changed` : ", no drift";
    say(get("kernel-why"), ago + drift);
  }

  configuration({ config_error: problems, generation, origin }) {
    const number = generation ? `Generation ${generation.generation}` : "No generation";
    say(get("generation"), problems.length ? "Refused" : number);
    style(get("generation").parentNode, `card${problems.length ? " degraded" : ""}`);
    const since = generation ? `since ${clock(generation.created)}` : "";
    say(get("generation-why"), problems.length ? `${number} stays in force` : since);
    set(get("generation-why"), "title", origin);
  }

  alarms({ kernel, config_error: problems, lost_vips: vips, health }) {
    const wanted = new Map();
    if (kernel.error) wanted.set("kernel", ["error", "The kernel cannot be asked", [kernel.error]]);
    if (vips.length) {
      wanted.set("vips", ["error", plural(vips.length, "VIP") + " withdrawn", vips.map((vip) => vip.why.join(": "))]);
    }
    if (health.status === "failing" && !kernel.error && !vips.length) {
      wanted.set("failing", ["error", "Clients are not served", health.reasons]);
    }
    if (problems.length) {
      wanted.set("config", ["warning", "The configuration was refused, the old one is in force", problems]);
    }
    for (const key of [...this.told.keys()]) if (!wanted.has(key)) this.unsay(key);
    for (const [key, alarm] of wanted) this.alarm(key, alarm);
  }

  alarm(key, [level, title, lines]) {
    const mark = JSON.stringify([level, title, lines]);
    if (this.told.get(key)?.mark === mark) return;
    this.unsay(key);
    const more = lines.length > SHOWN ? [make("li", "", `and ${lines.length - SHOWN} more`)] : [];
    const items = lines.slice(0, SHOWN).map((line) => make("li", "", line));
    const node = make("div", `alarm ${level}`, make("h2", "", title), make("ul", "", ...items, ...more));
    this.told.set(key, { mark, node });
    get("alarms").append(node);
  }

  unsay(key) {
    this.told.get(key)?.node.remove();
    this.told.delete(key);
  }

  title({ health, version, started }, model) {
    const down = model.count("down");
    const what = health.status === "fine" ? "" : `${down ? `${down} down` : health.status} · `;
    const title = `${what}ipvs-lb ${location.host}`;
    if (document.title !== title) document.title = title;
    say(get("version"), `ipvs-lb ${version}, running for ${duration(this.page.now() - started)}`);
  }
}
