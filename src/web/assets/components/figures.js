// Figures with what they mean.
import { html } from "../lib/html.js";
import { ABSENT, compact, cost, counted, integer, percent } from "../lib/format.js";

/**
 * A figure and its name.
 * @param {{name: string, title?: string, class?: string, children?: any}} props
 */
export function Fact({ name, title, class: className = "", children }) {
  return html`<div class=${`fact ${className}`} title=${title}>
    <dt>${name}</dt>
    <dd>${children}</dd>
  </div>`;
}

/**
 * What figures cost; a price that is not known is said, never shown as $0.
 * @param {{figures: import("../lib/api.js").Figures}} props
 */
export function CostOf({ figures }) {
  const unpriced = figures.unpriced_calls ?? 0;
  const title = unpriced ? `${counted(unpriced, "call")} without a known price` : null;
  if (figures.cost_usd === undefined && !unpriced) return html`<span class="cost" title="No call of a model has ended with tokens">${cost(figures)}</span>`;
  return html`<span class=${unpriced ? "cost unpriced" : "cost"} title=${title}>${cost(figures)}</span>`;
}

/**
 * Tokens in and out, and how many of them were cached.
 * @param {{figures: import("../lib/api.js").Figures}} props
 */
export function Tokens({ figures }) {
  const { input_tokens: input, output_tokens: output, cache_read_tokens: cached } = figures;
  if (input === undefined && output === undefined) return html`<span>${ABSENT}</span>`;
  const parts = [`${integer(input)} in`, `${integer(output)} out`];
  if (cached) parts.push(`${integer(cached)} of them read from a cache (${percent(cached / input)})`);
  if (figures.reasoning_tokens) parts.push(`${integer(figures.reasoning_tokens)} for reasoning`);
  return html`<span title=${parts.join(", ")}>${compact(input)} → ${compact(output)}</span>`;
}

/**
 * A count, and how many of them failed.
 * @param {{done?: number, failed?: number}} props `done`: without those that failed
 */
export function WithFailed({ done = 0, failed = 0 }) {
  return html`<span>${integer(done + failed)}${failed > 0 && html` <span class="bad" title=${`${integer(failed)} failed`}>${integer(failed)} failed</span>`}</span>`;
}
