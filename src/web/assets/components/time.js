// Times that pass while one looks at them.
import { html, useCallback } from "../lib/html.js";
import { useTime } from "../lib/clock.js";
import { ago, fullTime, ticking } from "../lib/format.js";

/**
 * How long something has been going on.
 * @param {{since: string}} props
 */
export function Clock({ since }) {
  const began = Date.parse(since);
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
