// The page: brings the stream, what is known, and what is shown together.

import { button, get, make, say, set, show } from "./dom.js";
import { List } from "./list.js";
import { Model } from "./model.js";
import { Orders } from "./orders.js";
import { Overview } from "./overview.js";
import { eventItem, kinds } from "./rows.js";
import { Sheet } from "./sheet.js";
import { reason, Stream } from "./stream.js";
import { plural, STATES, whole } from "./words.js";

const TOKEN = "ipvs-lb token";
const EVENTS = 60;
const AHEAD = 40; // servers beyond the window whose details are asked for

class Page {
  constructor() {
    this.model = new Model();
    this.head = null;
    this.mayOrder = false;
    this.headAt = 0;
    this.token = sessionStorage.getItem(TOKEN) ?? "";
    this.list = new List(get("rows"), kinds(this));
    this.list.moved = () => this.lookAt();
    this.orders = new Orders(this);
    this.sheet = new Sheet(this);
    this.overview = new Overview(this);
    this.chips = new Map();
    this.isDirty = false;
    this.hasChanged = false;
    this.stream = new Stream({
      head: (head) => this.setHead(head),
      anew: () => this.model.anew(),
      services: (services) => this.services(services),
      gone: (keys) => this.gone(keys),
      reached: () => this.reached(),
      details: (details) => this.details(details),
      events: (events) => this.events(events),
      stranger: () => this.stranger(),
      lost: (why) => this.lost(why),
    });
    this.listen();
  }

  listen() {
    get("enter").addEventListener("submit", (event) => {
      event.preventDefault();
      this.enter(get("token").value.trim());
    });
    get("leave").addEventListener("click", () => this.leave());
    get("search").addEventListener("input", () => this.search());
    get("unfold").addEventListener("click", () => this.turnAll(true));
    get("fold").addEventListener("click", () => this.turnAll(false));
    addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.refresh();
    });
    setInterval(() => this.tick(), 1000);
    if (matchMedia("(max-width: 1280px)").matches) get("events-fold").open = false;
  }

  // in and out

  async start() {
    say(get("host"), location.host);
    const code = location.hash.match(/^#code=(\w+)$/)?.[1];
    if (location.hash) history.replaceState(null, "", location.pathname);
    if (code) await this.exchange(code);
    if (this.token || document.documentElement.dataset.asks === "no") this.enter(this.token);
    else this.stranger("");
  }

  /** `ipvs-lb web` has opened the page with a code that is good for one token. */
  async exchange(code) {
    try {
      const response = await fetch("/ui/session", { method: "POST", body: code });
      if (response.ok) this.token = (await response.json()).token;
      if (response.ok) sessionStorage.setItem(TOKEN, this.token);
    } catch {
      // the door says what is missing
    }
  }

  enter(token) {
    this.token = token;
    if (token) sessionStorage.setItem(TOKEN, token);
    get("token").value = "";
    this.stream.token = token;
    this.stream.open();
  }

  leave() {
    sessionStorage.removeItem(TOKEN);
    this.stream.close();
    location.reload();
  }

  stranger() {
    const problem = this.token ? "This token is not, or no longer, let in." : "";
    this.token = "";
    sessionStorage.removeItem(TOKEN);
    say(get("door-problem"), problem);
    if (document.documentElement.dataset.asks === "no") {
      say(get("door-why"), "The address this was opened with has been used. Run ipvs-lb web again for a new one.");
    }
    show(get("gateway"), false);
    show(get("door"), true);
    this.link("waiting", "signed out");
    get("token").focus();
  }

  link(state, text) {
    set(get("link"), "data-link", state);
    say(get("link"), text);
  }

  lost(why) {
    this.link("lost", `not connected: ${why}`);
    document.body.classList.add("stale");
  }

  // what the stream tells

  setHead(head) {
    this.head = head;
    this.headAt = performance.now();
    if (this.mayOrder !== head.may_order) {
      this.mayOrder = head.may_order;
      this.hasChanged = true;
    }
    this.link("live", head.may_order ? "live" : "live, read only");
    document.body.classList.remove("stale");
    show(get("door"), false);
    show(get("gateway"), true);
    show(get("leave"), this.token !== "");
    this.soon();
  }

  services(told) {
    for (const one of told) this.model.put(one);
    this.isDirty = true;
    this.soon();
  }

  gone(keys) {
    for (const key of keys) this.model.remove(key);
    this.isDirty = true;
    this.soon();
  }

  reached() {
    if (this.model.stale) this.isDirty = true;
    this.model.settle();
    this.soon();
    this.lookAt();
  }

  details({ rows }) {
    for (const [id, detail] of Object.entries(rows)) this.model.details.set(id, detail);
    if (this.model.details.size > 5000) this.forget();
    this.hasChanged = true;
    this.soon();
  }

  events(told) {
    const box = get("events");
    const last = Number(box.firstChild?.dataset.number ?? 0);
    if (told[0].number <= last && told.at(-1).number < last) box.replaceChildren();
    for (const event of told.slice(-EVENTS)) {
      const item = eventItem(event);
      item.dataset.number = event.number;
      box.prepend(item);
    }
    while (box.childElementCount > EVENTS) box.lastChild.remove();
  }

  /** Details of what is far out of sight. */
  forget() {
    const kept = new Set();
    for (let index = this.list.first; index < this.list.last; index += 1) kept.add(this.list.rows[index].id);
    for (const id of this.model.details.keys()) if (!kept.has(id)) this.model.details.delete(id);
  }

  // what is shown

  soon() {
    if (this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      this.refresh();
    });
  }

  refresh() {
    this.overview.update();
    if (this.isDirty) this.rearrange();
    else if (this.hasChanged) this.list.refresh();
    this.hasChanged = false;
  }

  rearrange() {
    this.isDirty = false;
    this.updateChips();
    const rows = this.model.rows();
    this.list.setRows(rows);
    const isFiltered = this.model.needle !== "" || this.model.state !== "";
    const none = isFiltered ? "Nothing matches." : "There are no services.";
    show(get("nothing"), rows.length === 0 && this.head !== null);
    say(get("nothing"), none);
    if (isFiltered) say(get("found"), plural(rows.filter((row) => row.servers).length, "service") + " found");
    else say(get("found"), "");
  }

  updateChips() {
    for (const state of ["", "trouble", ...STATES]) {
      const number = this.model.count(state);
      let chip = this.chips.get(state);
      if (!chip) {
        const text = { "": "All", trouble: "Needs a look" }[state] ?? state;
        chip = button(`chip ${state || "all"}`, "", () => this.choose(state));
        chip.append(make("span", "chip-name", text), make("b"));
        this.chips.set(state, chip);
        get("chips").append(chip);
      }
      say(chip.lastChild, whole(number));
      set(chip, "aria-pressed", String(this.model.state === state));
      show(chip, state === "" || number > 0 || this.model.state === state);
    }
  }

  choose(state) {
    this.model.state = this.model.state === state ? "" : state;
    this.rearranged();
  }

  search() {
    this.model.needle = get("search").value.trim().toLowerCase();
    this.rearranged();
  }

  turn(service) {
    this.model.turn(service);
    this.rearranged();
  }

  turnAll(isOpen) {
    this.model.turnAll(isOpen);
    this.rearranged();
  }

  rearranged() {
    this.isDirty = true;
    this.refresh();
  }

  /** Once a second: times go by, and the plots go on. */
  tick() {
    if (!this.head) return;
    this.model.remember(this.inSight ?? [], performance.now() / 1000);
    if (document.hidden) return;
    this.overview.update();
    this.list.refresh();
    this.sheet.tick();
  }

  /** The gateway's time. */
  now() {
    return this.head.at + (performance.now() - this.headAt) / 1000;
  }

  // what is in sight

  lookAt() {
    clearTimeout(this.looking);
    this.looking = setTimeout(() => this.look(), 150);
  }

  look() {
    if (!this.stream.after || !this.stream.current) return;
    const { list } = this;
    const needed = this.sight(list.first, list.last, 0);
    if (this.covered && [...needed].every(([key, range]) => covers(this.covered.get(key), range))) return;
    const isSmall = this.model.isSmall;
    const wanted = isSmall ? this.everything() : this.sight(list.first - AHEAD, list.last + AHEAD, 10);
    this.covered = wanted;
    this.inSight = [...this.ids(wanted)];
    this.stream.sight = [...wanted].map(([key, [from, to]]) => (to > from ? `${key}@${from}-${to}` : key));
    this.stream.open();
  }

  /** For each service with rows there: from which of its servers up to which. */
  sight(first, last, more) {
    const found = new Map();
    for (let index = Math.max(0, first); index < Math.min(last, this.list.rows.length); index += 1) {
      const row = this.list.rows[index];
      const key = row.servers ? row.key : row.service.key;
      const range = found.get(key) ?? [0, 0];
      if (!row.servers) {
        const isFirst = range[1] === 0;
        range[0] = isFirst ? Math.max(0, row.index - more) : Math.min(range[0], row.index);
        range[1] = Math.max(range[1], row.index + 1 + more);
      }
      found.set(key, range);
    }
    return found;
  }

  everything() {
    return new Map([...this.model.services.values()].map((one) => [one.key, [0, one.servers.length]]));
  }

  *ids(sight) {
    for (const [key, [from, to]] of sight) {
      const service = this.model.services.get(key);
      if (!service) continue;
      yield key;
      for (const one of service.servers.slice(from, to)) yield one.id;
    }
  }

  // what is asked and ordered

  explain(server) {
    this.sheet.open(server);
  }

  order(server, action) {
    this.orders.open(server, action);
  }

  done(text) {
    say(get("said"), text);
    clearTimeout(this.saying);
    this.saying = setTimeout(() => say(get("said"), ""), 6000);
    this.sheet.ask();
  }

  /** One request to the API; throws an Error that says why it was refused. */
  async ask(method, path, body) {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    if (body) headers["Content-Type"] = "application/json";
    const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    if (!response.ok) throw new Error(await reason(response));
    return response.json();
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const isTyping = event.target.matches?.("input, select, textarea");
    if (event.key === "/" && !isTyping) {
      event.preventDefault();
      get("search").focus();
    } else if (event.key === "Escape" && event.target === get("search")) {
      get("search").value = "";
      this.search();
    }
  }
}

function covers(range, needed) {
  return range !== undefined && (needed[1] === 0 || (range[0] <= needed[0] && range[1] >= needed[1]));
}

new Page().start();
