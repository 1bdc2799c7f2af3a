// The time, as the collector has it, and ticks for whatever shows it passing.
import { useEffect, useState } from "./html.js";

const TICK = 250;
const listeners = new Set();
let ahead = 0;
let timer = 0;

/**
 * Learns how far the collector's clock is from ours. Its header has whole seconds, so less than two are no difference.
 * @param {number} millis
 */
export function noteServerTime(millis) {
  const difference = millis - Date.now();
  ahead = Math.abs(difference) < 2000 ? 0 : difference;
}

/** Milliseconds since 1970 by the collector's clock. */
export function now() {
  return Date.now() + ahead;
}

/**
 * What `read` makes of the time, kept current: the component is drawn again only when that changes.
 * @template T
 * @param {(now: number) => T} read
 * @returns {T}
 */
export function useTime(read) {
  const [, setShown] = useState(/** @type {unknown} */ (null));
  useEffect(() => {
    const tick = () => setShown(read(now()));
    listeners.add(tick);
    timer ||= window.setInterval(() => listeners.forEach((listener) => listener()), TICK);
    return () => {
      listeners.delete(tick);
      if (listeners.size === 0) {
        window.clearInterval(timer);
        timer = 0;
      }
    };
  }, [read]);
  return read(now());
}
