import { html } from "../lib/html.js";
export function Detail() { return html`<p>Detail</p>`; }
