import { html } from "../lib/html.js";
export function Events() { return html`<p>Events</p>`; }
