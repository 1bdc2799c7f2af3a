// Times that pass while one looks at them.
import { html, useCallback } from "../lib/html.js";
import { useTime } from "../lib/clock.js";
import { ago, fullTime, ticking } from "../lib/format.js";

/**
 * How long something has been going on.
 * @param {{since: string | number}} props RFC 3339, or milliseconds since 1970
 */
export function Clock({ since }) {
  const began = typeof since === "number" ? since : Date.parse(since);
  const text = useTime(useCallback((now) => ticking(now - began), [began]));
  return html`<time class="clock" title=${`since ${fullTime(since)}`}>${text}</time>`;
}

/**
 * How long ago something was; the exact time is its title.
 * @param {{at: string}} props
 */
export function Ago({ at }) {
  const time = Date.parse(at);
  const text = useTime(useCallback((now) => ago(now - time), [time]));
  return html`<time datetime=${at} title=${fullTime(at)}>${text}</time>`;
}
