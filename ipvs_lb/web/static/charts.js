// The two small drawings of a row: the last results of its checks, and the last ten minutes.

import { draw, set } from "./dom.js";
import { POINTS } from "./model.js";

const TICKS = 20;
const STEP = 6;
const HEIGHT = 20;
const COLUMNS = 100;

/** A strip of ticks: short for passed, tall for failed, a dot for what was no fault of the server. */
export function ticks() {
  const strip = draw(
    "svg",
    { class: "ticks", viewBox: `0 0 ${TICKS * STEP} ${HEIGHT}`, role: "img" },
    draw("path", { class: "none" }),
    draw("path", { class: "passed" }),
    draw("path", { class: "failed" }),
    draw("path", { class: "other" }),
  );
  strip.signs = null;
  return strip;
}

export function setTicks(strip, signs) {
  if (strip.signs === signs) return;
  strip.signs = signs;
  const lines = { none: "", "+": "", "-": "", "?": "" };
  for (let place = 0; place < TICKS; place += 1) {
    const sign = signs[signs.length - TICKS + place] ?? "none";
    const x = place * STEP + 2;
    if (sign === "+") lines["+"] += `M${x} ${HEIGHT - 1}v-9`;
    else if (sign === "-") lines["-"] += `M${x} ${HEIGHT - 1}v-18`;
    else if (sign === "?") lines["?"] += `M${x} ${HEIGHT - 8}v-4`;
    else lines.none += `M${x} ${HEIGHT - 1}v-3`;
  }
  const [none, passed, failed, other] = strip.children;
  set(none, "d", lines.none);
  set(passed, "d", lines["+"]);
  set(failed, "d", lines["-"]);
  set(other, "d", lines["?"]);
  const bad = signs.split("-").length - 1;
  const words = signs ? `${bad} of the last ${signs.length} checks failed` : "no checks";
  set(strip, "aria-label", words);
}

/** A plot of ten minutes. */
export function plot(style = "plot") {
  const made = draw(
    "svg",
    { class: style, viewBox: `0 0 ${COLUMNS} 24`, preserveAspectRatio: "none", "aria-hidden": "true" },
    draw("path", { class: "ground", d: `M0 23.5H${COLUMNS}` }),
    draw("path", { class: "area" }),
    draw("path", { class: "line" }),
  );
  made.drawn = null;
  return made;
}

/** Draw a series, unless it is drawn already; returns its greatest value. */
export function setPlot(made, series, kind) {
  const mark = series ? `${series.slot} ${kind}` : "";
  if (made.drawn === mark && made.series === series) return;
  made.drawn = mark;
  made.series = series;
  const { line, area } = series ? curves(series[kind]) : { line: "", area: "" };
  set(made.children[1], "d", area);
  set(made.children[2], "d", line);
}

function curves(values) {
  const each = POINTS / COLUMNS;
  const columns = [];
  let most = 1;
  for (let column = 0; column < COLUMNS; column += 1) {
    let value = NaN;
    for (let one = column * each; one < (column + 1) * each; one += 1) {
      const here = values[one];
      if (here >= value || value !== value) value = here;
    }
    columns.push(value);
    if (value > most) most = value;
  }
  let line = "";
  let area = "";
  let begun = -1;
  for (let column = 0; column <= COLUMNS; column += 1) {
    const value = columns[column];
    const isThere = value === value && value !== undefined;
    if (isThere) {
      const y = (23 - (value / most) * 21).toFixed(1);
      line += begun < 0 ? `M${column} ${y}` : `L${column} ${y}`;
      area += begun < 0 ? `M${column} 24V${y}` : `L${column} ${y}`;
      if (begun < 0) begun = column;
    } else if (begun >= 0) {
      if (begun === column - 1) line += "h1";
      area += "V24Z";
      begun = -1;
    }
  }
  return { line, area };
}
