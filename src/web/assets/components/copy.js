// Text that can be taken along.
import { html, useRef, useState } from "../lib/html.js";
import { Icon } from "./icon.js";

/**
 * @param {{text: string, label: string, children?: any}} props `label`: what is copied
 */
export function Copy({ text, label, children }) {
  const [outcome, setOutcome] = useState("");
  const timer = useRef(0);
  const copy = async () => {
    setOutcome((await write(text)) ? "copied" : "not copied");
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setOutcome(""), 1500);
  };
  return html`<button type="button" class="copy" title=${`Copy ${label}: ${text.slice(0, 200)}`} onClick=${copy}>
    <span class="text">${children}</span>
    <${Icon} name=${outcome === "copied" ? "check" : "copy"} />
    <span class="unseen">Copy ${label}</span>
    <span class="unseen" role="status">${outcome}</span>
  </button>`;
}

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return writeTheOldWay(text);
  }
}

/** Browsers have no clipboard for pages that come over plain HTTP from another machine. */
function writeTheOldWay(text) {
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  return isDone;
}
