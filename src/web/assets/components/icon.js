// Drawings of 16 by 16, in the colour of the text around them.
import { html } from "../lib/html.js";

const PATHS = {
  agent: "M8 1.5v2M4 5.5h8a1.5 1.5 0 0 1 1.5 1.5v5a1.5 1.5 0 0 1-1.5 1.5H4A1.5 1.5 0 0 1 2.5 12V7A1.5 1.5 0 0 1 4 5.5ZM5.8 8.5v1.5M10.2 8.5v1.5",
  ban: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2ZM3.8 3.8l8.4 8.4",
  bell: "M4 11V7a4 4 0 0 1 8 0v4l1 1.5H3L4 11ZM6.7 14.3h2.6",
  check: "M3 8.5l3.3 3.3L13 4.8",
  chevron: "M6 3.5 10.5 8 6 12.5",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  copy: "M6 5.5h7v8H6zM10 5.5v-3H3v8h3",
  cross: "M4 4l8 8M12 4l-8 8",
  dollar: "M8 1.5v13M11.2 4.6C10.6 3.7 9.5 3.2 8 3.2c-1.8 0-3.1.9-3.1 2.3 0 3.2 6.4 1.6 6.4 4.9 0 1.5-1.4 2.4-3.3 2.4-1.7 0-2.9-.6-3.5-1.7",
  help: "M5.7 6a2.3 2.3 0 1 1 3.3 2.1c-.7.3-1 .7-1 1.5v.4M8 12.6v.1",
  fit: "M2.5 5.5v-3h3M13.5 5.5v-3h-3M2.5 10.5v3h3M13.5 10.5v3h-3",
  heart: "M1.5 8.5h3l2-5 3 9 2-4h3",
  list: "M2.5 4h11M2.5 8h11M2.5 12h7",
  llm: "M8 1.5 9.6 6.4 14.5 8 9.6 9.6 8 14.5 6.4 9.6 1.5 8 6.4 6.4Z",
  memory: "M3 4c0-1.1 2.2-2 5-2s5 .9 5 2-2.2 2-5 2-5-.9-5-2ZM3 4v8c0 1.1 2.2 2 5 2s5-.9 5-2V4M3 8c0 1.1 2.2 2 5 2s5-.9 5-2",
  moon: "M13.5 9.6A6 6 0 1 1 6.4 2.5a4.8 4.8 0 0 0 7.1 7.1Z",
  pause: "M5.5 3v10M10.5 3v10",
  person: "M8 8.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2.5 14c.5-3 2.7-4 5.5-4s5 1 5.5 4",
  play: "M5 2.8v10.4L13 8Z",
  pulse: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM8 5v3.3l2.2 1.3",
  question: "M5.7 6a2.3 2.3 0 1 1 3.3 2.1c-.7.3-1 .7-1 1.5v.4M8 12.6v.1",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM10.3 10.3l3.5 3.5",
  step: "M3 3.5v6a2 2 0 0 0 2 2h7.5M9.8 8.8l2.7 2.7-2.7 2.7",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM8 1.2v1.3M8 13.5v1.3M1.2 8h1.3M13.5 8h1.3M3.2 3.2l.9.9M11.9 11.9l.9.9M12.8 3.2l-.9.9M4.1 11.9l-.9.9",
  system: "M3 3h10v7H3zM6 13.5h4M8 10v3.5",
  screen: "M2.5 3h11v7.5h-11zM5.5 13.5h5",
  tool: "M13.3 4.3a3.6 3.6 0 0 1-4.8 4.4l-4.3 4.3a1.3 1.3 0 0 1-1.9-1.9l4.3-4.3A3.6 3.6 0 0 1 11 2.1L8.9 4.2l.4 1.9 1.9.4Z",
  warning: "M8 2.2 14.5 13.5h-13ZM8 6.5v3.2M8 11.6v.1",
  workflow: "M2.5 2.5h4v4h-4zM9.5 9.5h4v4h-4zM4.5 6.5v5h5",
};

/**
 * @param {{name: keyof typeof PATHS, class?: string}} props
 */
export function Icon({ name, class: className = "" }) {
  return html`<svg class=${`icon ${className}`} viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
