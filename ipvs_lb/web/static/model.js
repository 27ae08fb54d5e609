// What is known of the gateway: services with servers, and which of them are to be shown as rows.

import { TROUBLE } from "./words.js";

const SMALL = 150; // servers: with fewer, all services are open at first
const SLOT = 2; // seconds between two points of a plot
export const POINTS = 300; // ten minutes
const MAX_SERIES = 2000;
const order = new Intl.Collator("en", { numeric: true });

export class Model {
  constructor() {
    this.services = new Map();
    this.sorted = [];
    this.details = new Map();
    this.series = new Map();
    this.turned = new Map(); // services opened or closed by hand
    this.unfolded = null; // all of them, by hand
    this.needle = "";
    this.state = "";
    this.counts = {};
    this.total = 0;
    this.stale = null;
    this.isSorted = true;
  }

  /** Everything is told anew: what is not told again by `settle` is gone. */
  anew() {
    this.stale = new Set(this.services.keys());
  }

  settle() {
    for (const key of this.stale ?? []) this.remove(key);
    this.stale = null;
  }

  put(told) {
    const before = this.services.get(told.service);
    const service = before ?? { key: told.service, id: told.service };
    if (before) this.discount(before);
    const title = told.name ?? told.service;
    if (!before || before.title !== title) this.isSorted = false;
    Object.assign(service, told, { title, text: `${told.name ?? ""} ${told.service}`.toLowerCase() });
    service.servers = told.servers.map((row, index) => server(service, row, index));
    for (const one of service.servers) this.counts[one.state] = (this.counts[one.state] ?? 0) + 1;
    this.total += service.servers.length;
    this.services.set(service.key, service);
    this.stale?.delete(service.key);
  }

  remove(key) {
    const service = this.services.get(key);
    if (!service) return;
    this.discount(service);
    this.services.delete(key);
    this.isSorted = false;
  }

  discount(service) {
    for (const one of service.servers) this.counts[one.state] -= 1;
    this.total -= service.servers.length;
  }

  detail(id) {
    return this.details.get(id);
  }

  /** How many servers are in a state that is asked for by that name. */
  count(state) {
    if (state === "") return this.total;
    if (state !== "trouble") return this.counts[state] ?? 0;
    return [...TROUBLE].reduce((sum, one) => sum + (this.counts[one] ?? 0), 0);
  }

  isOpen(service) {
    if (this.state) return this.turned.get(service.key) ?? true;
    return this.turned.get(service.key) ?? this.unfolded ?? (this.total <= SMALL || this.needle !== "");
  }

  turn(service) {
    this.turned.set(service.key, !this.isOpen(service));
  }

  turnAll(isOpen) {
    this.turned.clear();
    this.unfolded = isOpen;
  }

  /** The rows in order: each service, and below it those of its servers that are meant. */
  rows() {
    if (!this.isSorted) {
      this.sorted = [...this.services.values()].sort(
        (a, b) => order.compare(a.title, b.title) || order.compare(a.key, b.key),
      );
      this.isSorted = true;
    }
    const rows = [];
    for (const service of this.sorted) {
      const meant = this.meant(service);
      if (meant === null) continue;
      rows.push(service);
      if (this.isOpen(service)) for (const one of meant) rows.push(one);
    }
    return rows;
  }

  /** The servers of a service that are meant; null: not even the service is. */
  meant(service) {
    const all = this.needle === "" || service.text.includes(this.needle);
    if (all && this.state === "") return service.servers;
    const found = service.servers.filter((one) => this.has(one) && (all || one.text.includes(this.needle)));
    return found.length ? found : null;
  }

  has(one) {
    if (this.state === "") return true;
    return this.state === "trouble" ? TROUBLE.has(one.state) : one.state === this.state;
  }

  /** Whether all plots can be gathered at once. */
  get isSmall() {
    return this.total <= SMALL && this.services.size <= 60;
  }

  /** Add what is now to the plots of *ids*. */
  remember(ids, at) {
    const slot = Math.floor(at / SLOT);
    for (const id of ids) {
      const rates = this.details.get(id)?.rates;
      if (!rates) continue;
      let series = this.series.get(id);
      if (!series) {
        if (this.series.size >= MAX_SERIES) this.series.delete(this.series.keys().next().value);
        series = { slot: slot - 1, connections: blank(), bytes: blank(), drawn: -1 };
        this.series.set(id, series);
      }
      const steps = Math.min(slot - series.slot, POINTS);
      if (steps < 1) continue;
      shift(series.connections, steps, rates[0]);
      shift(series.bytes, steps, rates[1] + rates[2]);
      series.slot = slot;
    }
  }
}

function blank() {
  return new Float32Array(POINTS).fill(NaN);
}

function shift(values, steps, last) {
  values.copyWithin(0, steps);
  // a pause of a few seconds is bridged, a longer one is a gap
  values.fill(steps <= 3 ? last : NaN, POINTS - steps);
  values[POINTS - 1] = last;
}

function server(service, row, index) {
  const [where, name, state, rule, weight, kernel, tier] = row;
  return {
    id: `${service.key} ${where}`,
    service,
    index,
    where,
    name: name ?? where,
    state,
    rule,
    weight,
    kernel,
    tier,
    text: `${name ?? ""} ${where}`.toLowerCase(),
  };
}
