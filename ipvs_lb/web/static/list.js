// A long list of which only the rows near the window exist. A row keeps its element for as long as it is there.

import { set } from "./dom.js";

const MARGIN = 400; // pixels above and below the window in which rows exist

export class List {
  /** `kinds`: for each kind of row its `height()`, how to `make` its element and to `update` it. */
  constructor(box, kinds) {
    this.box = box;
    this.kinds = kinds;
    this.rows = [];
    this.tops = [0];
    this.alive = new Map();
    this.first = 0;
    this.last = 0;
    this.moved = () => {};
    const later = () => this.soon();
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", () => this.measure());
    box.addEventListener("keydown", (event) => this.key(event));
  }

  kind(row) {
    return row.servers ? this.kinds.service : this.kinds.server;
  }

  /** Show *rows* from now on. */
  setRows(rows) {
    this.rows = rows;
    this.measure();
  }

  measure() {
    const heights = new Map();
    for (const kind of Object.values(this.kinds)) heights.set(kind, kind.height());
    const tops = new Array(this.rows.length + 1);
    let top = 0;
    for (let index = 0; index < this.rows.length; index += 1) {
      tops[index] = top;
      top += heights.get(this.kind(this.rows[index]));
    }
    tops[this.rows.length] = top;
    this.tops = tops;
    this.box.style.height = `${top}px`;
    set(this.box.parentNode, "aria-rowcount", this.rows.length + 1);
    this.render();
  }

  soon() {
    if (this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      this.render();
    });
  }

  /** Let there be exactly the rows near the window, each as it is now. */
  render() {
    const above = this.box.getBoundingClientRect().top;
    this.first = this.at(-above - MARGIN);
    this.last = Math.min(this.at(-above + innerHeight + MARGIN) + 1, this.rows.length);
    const wanted = new Set();
    for (let index = this.first; index < this.last; index += 1) {
      const row = this.rows[index];
      wanted.add(row.id);
      this.place(row, index);
    }
    for (const [id, node] of this.alive) {
      if (wanted.has(id)) continue;
      if (node.contains(document.activeElement) && this.rows.includes(node.row)) continue;
      if (node.contains(document.activeElement)) this.box.parentNode.focus({ preventScroll: true });
      node.remove();
      this.alive.delete(id);
    }
    this.moved();
  }

  place(row, index) {
    const kind = this.kind(row);
    let node = this.alive.get(row.id);
    if (!node) {
      node = kind.make();
      this.alive.set(row.id, node);
      node.row = row;
      this.box.insertBefore(node, this.after(index));
    }
    node.row = row;
    const top = this.tops[index];
    if (node.top !== top) {
      node.top = top;
      node.style.transform = `translateY(${top}px)`;
    }
    set(node, "aria-rowindex", index + 2);
    kind.update(node, row);
  }

  /** The element before which that of row *index* stands, so that their order is that of the rows. */
  after(index) {
    for (let next = index + 1; next < Math.min(this.last, index + 4); next += 1) {
      const node = this.alive.get(this.rows[next].id);
      if (node) return node;
    }
    return null;
  }

  /** Update the rows there are, without moving any. */
  refresh() {
    for (let index = this.first; index < this.last; index += 1) {
      const row = this.rows[index];
      const node = this.alive.get(row.id);
      if (node) this.kind(row).update(node, row);
    }
  }

  /** The row at that height. */
  at(height) {
    let low = 0;
    let high = Math.max(0, this.rows.length - 1);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= height) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const node = event.target.closest(".row");
    if (!step || !node || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.focus(this.rows.indexOf(node.row) + step);
  }

  focus(index) {
    const row = this.rows[index];
    if (!row) return;
    const top = this.box.getBoundingClientRect().top + this.tops[index];
    if (top < 140 || top > innerHeight - 80) {
      scrollBy({ top: top - innerHeight / 2, behavior: "instant" });
      this.render();
    }
    this.alive.get(row.id)?.querySelector("button")?.focus({ preventScroll: true });
  }
}
