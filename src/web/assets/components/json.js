// Values as people read them: text as text, everything else as JSON; long ones shortened until somebody wants them.
import { html, useState } from "../lib/html.js";
import { counted } from "../lib/format.js";
import { Copy } from "./copy.js";

const SHORT = 1500;
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
  const shown = isLong && !isWhole ? text.slice(0, SHORT) : text;
  return html`<div class=${`value ${className}`}>
    <pre>${shown}${isLong && !isWhole ? "…" : ""}</pre>
    <div class="actions">
      ${isLong &&
      html`<button type="button" class="quiet" aria-expanded=${isWhole} onClick=${() => setWhole(!isWhole)}>
        ${isWhole ? "Show less" : `Show all ${counted(text.length, "character")}`}
      </button>`}
      <${Copy} text=${text} label=${label} />
    </div>
  </div>`;
}

/** A value as text that can be copied: on one line if it is short. */
export function asText(value) {
  if (typeof value === "string") return value;
  const line = JSON.stringify(value) ?? "";
  return line.length <= ONE_LINE ? line : JSON.stringify(value, null, 2);
}
