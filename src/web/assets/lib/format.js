// Figures, times and names as people read them. Nothing here touches the page.

/** What stands for a value that nobody reported. */
export const ABSENT = "–";

/**
 * A duration: three digits that matter, the unit that fits.
 * @param {number | null | undefined} millis
 */
export function duration(millis) {
  if (millis === null || millis === undefined || !Number.isFinite(millis)) return ABSENT;
  if (millis < 0) return "0 ms";
  if (millis < 1) return `${Math.round(millis * 1000)} µs`;
  if (millis < 999.5) return `${digits(millis)} ms`;
  const seconds = millis / 1000;
  if (seconds < 59.95) return `${digits(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${pad(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86400)}d ${Math.floor((whole % 86400) / 3600)}h`;
}

/**
 * A time on an axis, as exact as its steps are.
 * @param {number} millis since its origin
 * @param {number} step between two times on the axis
 */
export function onAxis(millis, step) {
  const places = (unit) => Math.min(6, Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9)));
  if (millis === 0) return "0";
  if (millis < 999.5) return `${millis.toFixed(places(1))} ms`;
  if (millis < 59_999) return `${(millis / 1000).toFixed(places(1000))} s`;
  const minutes = Math.floor(millis / 60_000 + 1e-9);
  const [whole, fraction] = Math.max(0, millis / 1000 - minutes * 60).toFixed(places(1000)).split(".");
  const rest = fraction === undefined ? pad(whole) : `${pad(whole)}.${fraction}`;
  return minutes < 60 ? `${minutes}m ${rest}s` : `${Math.floor(minutes / 60)}h ${pad(minutes % 60)}m${step < 60_000 ? ` ${rest}s` : ""}`;
}

/**
 * A duration that grows while one looks at it: whole seconds, so that it ticks.
 * @param {number} millis
 */
export function ticking(millis) {
  const whole = Math.max(0, Math.floor(millis / 1000));
  if (whole < 3600) return `${Math.floor(whole / 60)}:${pad(whole % 60)}`;
  return `${Math.floor(whole / 3600)}:${pad(Math.floor((whole % 3600) / 60))}:${pad(whole % 60)}`;
}

/**
 * An amount in US dollars, with as many digits as are needed to see that it is something.
 * @param {number | null | undefined} usd
 */
export function dollars(usd) {
  if (usd === null || usd === undefined) return ABSENT;
  const size = Math.abs(usd);
  if (size === 0) return "$0";
  if (size < 0.00005) return "< $0.0001";
  if (size < 1) return `$${usd.toFixed(4)}`;
  return `$${group(usd.toFixed(2))}`;
}

/**
 * An amount with the digits that make it add up to a total.
 * @param {number} usd
 * @param {number} total
 */
export function exactDollars(usd, total) {
  const size = Math.abs(total);
  return `$${group(usd.toFixed(size >= 1000 ? 2 : size >= 1 ? 4 : 8))}`;
}

/**
 * A price: cents, and as many digits more as there are.
 * @param {number} usd
 */
export function price(usd) {
  const [whole, fraction = ""] = usd.toFixed(9).split(".");
  return `$${group(whole)}.${fraction.replace(/0+$/, "").padEnd(2, "0")}`;
}

/**
 * What figures cost. Calls without a price are said, and never shown as $0.
 * @param {import("./api.js").Figures} figures
 */
export function cost(figures) {
  const unpriced = figures.unpriced_calls ?? 0;
  if (figures.cost_usd === undefined) return unpriced ? "unpriced" : ABSENT;
  return unpriced ? `${dollars(figures.cost_usd)} + ${unpriced} unpriced` : dollars(figures.cost_usd);
}

/**
 * A whole number with its thousands apart.
 * @param {number | null | undefined} value
 */
export function integer(value) {
  return value === null || value === undefined ? ABSENT : group(String(Math.round(value)));
}

/**
 * A number in the space of five characters, such as 12.3k.
 * @param {number | null | undefined} value
 */
export function compact(value) {
  if (value === null || value === undefined) return ABSENT;
  for (const [size, unit] of /** @type {[number, string][]} */ ([[1e9, "G"], [1e6, "M"], [1e3, "k"]])) {
    if (value >= size * 0.9995) return `${digits(value / size)}${unit}`;
  }
  return integer(value);
}

/**
 * @param {number | null | undefined} size
 */
export function bytes(size) {
  if (size === null || size === undefined) return ABSENT;
  if (size < 1024) return `${Math.round(size)} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(units.length, Math.floor(Math.log2(size) / 10));
  return `${digits(size / 1024 ** step)} ${units[step - 1]}`;
}

/**
 * @param {number | null | undefined} share 0 to 1
 */
export function percent(share) {
  if (share === null || share === undefined) return ABSENT;
  const value = share * 100;
  return value > 0 && value < 0.1 ? "< 0.1 %" : `${value.toFixed(1).replace(/\.0$/, "")} %`;
}

/**
 * How long ago, in a word or two.
 * @param {number} millis
 */
export function ago(millis) {
  const seconds = Math.floor(millis / 1000);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds - (seconds % 5)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/**
 * A time on the clock, with milliseconds.
 * @param {string | number} time RFC 3339, or milliseconds since 1970
 */
export function clock(time) {
  const at = new Date(time);
  const millis = String(at.getMilliseconds()).padStart(3, "0");
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${millis}`;
}

/**
 * A time with its date, in this browser's time zone.
 * @param {string | number} time RFC 3339, or milliseconds since 1970
 */
export function fullTime(time) {
  const at = new Date(time);
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${clock(time)}`;
}

/**
 * A number with what it counts.
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${integer(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * A word of the wire as people write it.
 * @param {string} text
 */
export function words(text) {
  return String(text).replaceAll("_", " ");
}

function digits(value) {
  const places = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return value.toFixed(places).replace(/\.0+$/, "");
}

function group(text) {
  const [whole, fraction] = text.split(".");
  const apart = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? apart : `${apart}.${fraction}`;
}

function pad(value) {
  return String(value).padStart(2, "0");
}
