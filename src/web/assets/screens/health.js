import { html } from "../lib/html.js";
export function Health() { return html`<p>Health</p>`; }
