// Values as people read them: text as text, everything else as JSON; long ones shortened until somebody wants them.
import { html, useState } from "../lib/html.js";
import { counted } from "../lib/format.js";
import { Copy } from "./copy.js";

const SHORT = 1500;
/** Text is laid out in pieces of about this length, and only those that are seen. */
const PIECE = 8000;
const ONE_LINE = 76;

/**
 * @param {{value: any, label: string}} props
 */
export function Value({ value, label }) {
  const text = asText(value);
  return html`<${LongText} text=${text} label=${label} class=${typeof value === "string" ? "prose" : "code"} />`;
}

/**
 * @param {{text: string, label: string, class?: string}} props
 */
export function LongText({ text, label, class: className = "prose" }) {
  const [isWhole, setWhole] = useState(false);
  const isLong = text.length > SHORT * 1.2;
  const shown = isLong ? text.slice(0, SHORT) : text;
  return html`<div class=${`value ${className}`}>
    ${isWhole ? pieces(text).map((piece, index) => html`<pre key=${index} class="piece">${piece}</pre>`) : html`<pre>${shown}${isLong ? "…" : ""}</pre>`}
    <div class="actions">
      ${isLong &&
      html`<button type="button" class="quiet" aria-expanded=${isWhole} onClick=${() => setWhole(!isWhole)}>
        ${isWhole ? "Show less" : `Show all ${counted(text.length, "character")}`}
      </button>`}
      <${Copy} text=${text} label=${label} />
    </div>
  </div>`;
}

/** Text in pieces that end where a line does, if there are lines. */
function pieces(text) {
  const found = [];
  for (let from = 0; from < text.length; ) {
    const line = text.length - from > PIECE ? text.indexOf("\n", from + PIECE) : -1;
    const isNear = line >= 0 && line - from < 2 * PIECE;
    const to = isNear ? line : Math.min(text.length, from + 2 * PIECE);
    found.push(text.slice(from, to));
    from = isNear ? to + 1 : to;
  }
  return found;
}

/** A value as text that can be copied: on one line if it is short. */
export function asText(value) {
  if (typeof value === "string") return value;
  const line = JSON.stringify(value) ?? "";
  return line.length <= ONE_LINE ? line : JSON.stringify(value, null, 2);
}
