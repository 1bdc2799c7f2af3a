// How work stands, as a colour, a drawing and a word; and what kind of work it is.
import { html } from "../lib/html.js";
import { Icon } from "./icon.js";

const STATUS = {
  running: { icon: null, word: "running" },
  completed: { icon: "check", word: "completed" },
  failed: { icon: "cross", word: "failed" },
  canceled: { icon: "ban", word: "canceled" },
  lost: { icon: "question", word: "lost" },
  pending: { icon: "pulse", word: "pending" },
};

const KINDS = {
  workflow: { icon: "workflow", word: "workflow" },
  workflow_step: { icon: "step", word: "step" },
  agent: { icon: "agent", word: "agent" },
  llm_request: { icon: "llm", word: "model call" },
  tool: { icon: "tool", word: "tool" },
  system: { icon: "system", word: "system" },
};

/**
 * @param {{status: string, wordless?: boolean}} props `wordless`: the word is only for those who do not see the drawing
 */
export function StatusMark({ status, wordless = false }) {
  const { icon, word } = STATUS[status] ?? { icon: "question", word: status };
  const drawing = icon ? html`<${Icon} name=${icon} />` : html`<span class="spinner" aria-hidden="true"></span>`;
  return html`<span class=${`status ${status}`} title=${wordless ? word : null}>
    ${drawing}<span class=${wordless ? "unseen" : ""}>${word}</span>
  </span>`;
}

/**
 * @param {{scope: string}} props
 */
export function KindMark({ scope }) {
  const { icon, word } = kind(scope);
  return html`<span class=${`kind ${scope}`} role="img" aria-label=${word} title=${word}><${Icon} name=${icon} /></span>`;
}

/** The word for a kind of work. */
export function kindWord(scope) {
  return kind(scope).word;
}

function kind(scope) {
  return KINDS[scope] ?? { icon: "system", word: scope };
}
