import { html } from "../lib/html.js";
export function Agents() { return html`<p>Agents</p>`; }
