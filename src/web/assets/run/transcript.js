import { html } from "../lib/html.js";
export function Transcript() { return html`<p>Transcript</p>`; }
