// What is shown where there is nothing to show: not yet, not at all, or not possible.
import { html } from "../lib/html.js";
import { Icon } from "./icon.js";

/** Something is on its way. It appears late, so that what is quick does not flicker. */
export function Loading() {
  return html`<div class="state loading" role="status"><span class="spinner" aria-hidden="true"></span> Loading…</div>`;
}

/**
 * A whole screen of which there is nothing to show, not yet or not at all. It has a heading, as every screen has, for
 * those who find their way by headings.
 * @param {{name: string, error?: Error, retry?: () => void}} props
 */
export function Missing({ name, error, retry }) {
  return html`<h1 class="unseen">${name}</h1>
    ${error ? html`<${Failure} error=${error} retry=${retry} />` : html`<${Loading} />`}`;
}

/**
 * There is nothing.
 * @param {{title: string, icon?: string, children?: any}} props
 */
export function Empty({ title, icon = "search", children }) {
  return html`<div class="state empty">
    <${Icon} name=${icon} />
    <p class="title">${title}</p>
    ${children}
  </div>`;
}

/**
 * It could not be had.
 * @param {{error: Error, retry?: () => void}} props
 */
export function Failure({ error, retry }) {
  return html`<div class="state failure" role="alert">
    <${Icon} name="warning" />
    <p class="title">${error.message}</p>
    ${retry && html`<button type="button" onClick=${retry}>Try again</button>`}
  </div>`;
}
