import { html } from "../lib/html.js";
export function Calls() { return html`<p>Calls</p>`; }
