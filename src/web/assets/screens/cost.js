import { html } from "../lib/html.js";
export function Cost() { return html`<p>Cost</p>`; }
