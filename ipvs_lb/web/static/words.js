// Numbers, times and states in words.

const DAY = 86400;

/** A count in few characters: 950, 1.2 k, 34 M. */
export function count(number) {
  return scaled(number, 1000, ["", " k", " M", " G", " T"]);
}

/** A count to the last one: 19,983. */
export function whole(number) {
  return number.toLocaleString("en-US");
}

/** Bytes per second. */
export function speed(number) {
  return scaled(number, 1000, [" B/s", " kB/s", " MB/s", " GB/s", " TB/s"]);
}

function scaled(number, base, units) {
  if (number === null || number === undefined) return "–";
  let unit = 0;
  let value = number;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit += 1;
  }
  const digits = unit && value < 10 ? 1 : 0;
  return value.toFixed(digits) + units[unit];
}

/** How long: 12 s, 3 min, 2 h, 5 d. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 100) return `${whole} s`;
  if (whole < 100 * 60) return `${Math.round(whole / 60)} min`;
  if (whole < 2 * DAY) return `${Math.round(whole / 3600)} h`;
  return `${Math.round(whole / DAY)} d`;
}

/** A time of day here, with the date when it is not of today. */
export function clock(unix) {
  const when = new Date(unix * 1000);
  const two = (number) => String(number).padStart(2, "0");
  const time = [when.getHours(), when.getMinutes(), when.getSeconds()].map(two).join(":");
  if (when.toDateString() === new Date().toDateString()) return time;
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ${time.slice(0, 5)}`;
}

/** `1 server`, `2 servers`. */
export function plural(number, what) {
  return `${whole(number)} ${what}${number === 1 ? "" : "s"}`;
}

/** The states a server can be in, the worst first. */
export const STATES = [
  "down", "unknown", "draining", "drained", "idle", "standby", "disabled", "foreign", "up",
];
/** Those that somebody should look at. */
export const TROUBLE = new Set(["down", "unknown", "draining", "drained", "idle"]);
