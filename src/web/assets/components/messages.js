// Messages between people, models and tools. What they say is text, whatever it looks like.
import { html } from "../lib/html.js";
import { bytes } from "../lib/format.js";
import { LongText, Value } from "./json.js";

/**
 * @param {{messages: import("../lib/transcript.js").Message[]}} props
 */
export function Messages({ messages }) {
  return messages.map((message, index) => html`<${One} key=${index} message=${message} />`);
}

function One({ message }) {
  const { role, parts } = message;
  const body = parts.map((part, index) => html`<${Part} key=${index} part=${part} />`);
  if (role === "system") {
    return html`<details class="message system"><summary>system instructions</summary>${body}</details>`;
  }
  return html`<div class=${`message ${role}`}>${role && html`<span class="role">${role}</span>`}${body}</div>`;
}

function Part({ part }) {
  switch (part.type) {
    case "text":
      return html`<${Value} value=${part.content ?? ""} label="the text" />`;
    case "reasoning":
    case "thinking":
      return html`<details class="reasoning"><summary>reasoning</summary><${Value} value=${part.content ?? ""} label="the reasoning" /></details>`;
    case "tool_call":
      return html`<div class="toolcall"><span class="role">calls ${String(part.name)}</span>${part.arguments !== undefined && html`<${Value} value=${part.arguments} label="the arguments" />`}</div>`;
    case "tool_call_response":
      return html`<${Value} value=${part.response ?? part.content ?? ""} label="the result" />`;
    default:
      return isBinary(part)
        ? html`<p class="binary">${String(part.mime_type ?? part.type)}, ${bytes((part.content.length * 3) / 4)}</p>`
        : html`<${LongText} text=${JSON.stringify(part, null, 2)} label="this part" class="code" />`;
  }
}

/** Pictures and sound in letters, which nobody wants to read. */
function isBinary(part) {
  return typeof part.content === "string" && part.content.length > 200 && /^[A-Za-z0-9+/=_-]+$/.test(part.content);
}
