// The part of a run's time that is looked at: milliseconds since the run began. Nothing here touches the page.

/** @typedef {{from: number, to: number}} Stretch */

/** Nothing shorter is looked at. */
const SHORTEST = 0.01;

/**
 * What the address says, such as `time=1200-3400`; all of it if it says nothing that makes sense.
 * @param {string | null} text
 * @param {number} length of the run
 * @returns {Stretch}
 */
export function read(text, length) {
  const [, from, to] = /^(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$/.exec(text ?? "") ?? [];
  const shown = { from: Number(from), to: Math.min(Number(to), length) };
  return shown.to - shown.from >= SHORTEST ? shown : { from: 0, to: length };
}

/**
 * What the address is to say; null is all of it.
 * @param {Stretch} shown
 * @param {number} length of the run
 */
export function write(shown, length) {
  if (isWhole(shown, length)) return null;
  return [shown.from, shown.to].map((time) => String(Number(time.toFixed(shown.to - shown.from < 10 ? 3 : 1)))).join("-");
}

/**
 * @param {Stretch} shown
 * @param {number} length of the run
 */
export function isWhole({ from, to }, length) {
  return from <= 0 && to >= length;
}

/**
 * More or less of it.
 * @param {Stretch} shown
 * @param {number} length of the run
 * @param {number} factor below 1 shows less
 * @param {number} at the time that stays where it is
 * @returns {Stretch}
 */
export function zoomed(shown, length, factor, at) {
  const size = shown.to - shown.from;
  const next = Math.min(length, Math.max(SHORTEST, size * factor));
  return within(at - ((at - shown.from) / size) * next, next, length);
}

/**
 * What is beside it.
 * @param {Stretch} shown
 * @param {number} length of the run
 * @param {number} by milliseconds
 * @returns {Stretch}
 */
export function moved(shown, length, by) {
  return within(shown.from + by, shown.to - shown.from, length);
}

/**
 * From one time to another, whichever is first.
 * @param {number} a
 * @param {number} b
 * @param {number} length of the run
 * @returns {Stretch}
 */
export function between(a, b, length) {
  const from = Math.max(0, Math.min(a, b, length - SHORTEST));
  return { from, to: Math.min(length, Math.max(a, b, from + SHORTEST)) };
}

function within(from, size, length) {
  const begin = Math.max(0, Math.min(from, length - size));
  return { from: begin, to: begin + size };
}
