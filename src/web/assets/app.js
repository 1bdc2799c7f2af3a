// The page: what is always there, and the screen that its address names.
import { html, render, useEffect, useErrorBoundary, useState } from "./lib/html.js";
import { connect, connection, paused, togglePause, waiting } from "./lib/live.js";
import { integer } from "./lib/format.js";
import { go, listenToLinks, usePlace } from "./lib/router.js";
import { listenToKeys, useKeys } from "./lib/keys.js";
import { useStore } from "./lib/store.js";
import { nextTheme, theme } from "./lib/theme.js";
import { denied } from "./lib/token.js";
import { Missing } from "./components/states.js";
import { Help } from "./components/help.js";
import { Icon } from "./components/icon.js";
import { Cost } from "./screens/cost.js";
import { Health } from "./screens/health.js";
import { Now } from "./screens/now.js";
import { Run } from "./screens/run.js";
import { Runs } from "./screens/runs.js";
import { Token } from "./screens/token.js";

const SCREENS = [
  { path: "/", name: "Now", key: "n", icon: "pulse" },
  { path: "/runs", name: "Runs", key: "r", icon: "list" },
  { path: "/cost", name: "Cost", key: "c", icon: "dollar" },
  { path: "/health", name: "Health", key: "h", icon: "heart" },
];

function App() {
  const { parts } = usePlace();
  const [isHelping, setHelping] = useState(false);
  const isDenied = useStore(denied) !== "";
  const jumps = SCREENS.map(({ path, key }) => [`g ${key}`, () => go(path)]);
  useKeys({ ...Object.fromEntries(jumps), "?": () => setHelping(true), p: togglePause, t: nextTheme });
  const first = `/${parts[0] ?? ""}`;
  return html`
    <a class="skip" href="#main">To the content</a>
    <header class="top">
      <a class="brand" href="/"><img src="/assets/favicon.svg" alt="" width="22" height="22" /> Spanlight</a>
      <nav aria-label="Screens">
        ${SCREENS.map(
          ({ path, name, icon }) => html`<a href=${path} aria-current=${path === first ? "page" : null}>
            <${Icon} name=${icon} /><span>${name}</span>
          </a>`,
        )}
      </nav>
      <${Live} />
      <${ThemeButton} />
      <button type="button" class="plain only-wide" aria-label="Keyboard help" title="Keyboard (?)" onClick=${() => setHelping(true)}>
        <${Icon} name="help" />
      </button>
    </header>
    <main id="main" tabindex="-1">${isDenied ? html`<${Token} />` : html`<${Screen} key=${parts.join("/")} parts=${parts} />`}</main>
    ${isHelping && html`<${Help} close=${() => setHelping(false)} />`}
  `;
}

function Screen({ parts }) {
  const [error, reset] = useErrorBoundary();
  const [first, second, ...rest] = parts;
  useEffect(() => {
    document.title = second ? `Run · Spanlight` : `${nameOf(first)} · Spanlight`;
  }, [first, second]);
  if (error) return html`<${Missing} name=${nameOf(first)} error=${new Error(`This screen failed: ${error.message}`)} retry=${reset} />`;
  if (rest.length === 0) {
    if (first === undefined) return html`<${Now} />`;
    if (first === "runs") return second === undefined ? html`<${Runs} />` : html`<${Run} id=${second} />`;
    if (second === undefined && first === "cost") return html`<${Cost} />`;
    if (second === undefined && first === "health") return html`<${Health} />`;
  }
  return html`<${Missing} name="Page" error=${new Error("There is no such screen.")} retry=${() => go("/")} />`;
}

function nameOf(first = "") {
  return SCREENS.find(({ path }) => path === `/${first}`)?.name ?? "Page";
}

/** How the page is connected, and the button that lets it stand still. */
function Live() {
  const { phase, missed } = useStore(connection);
  const isPaused = useStore(paused);
  const count = useStore(waiting);
  const words = { connecting: "Connecting", live: isPaused ? "Paused" : "Live", offline: "Reconnecting" };
  const gone = missed > 0 ? `${integer(missed)} events left memory while this page was not connected.` : "";
  return html`<div class="live">
    <span class=${`connection ${phase} ${isPaused ? "is-paused" : ""}`} role="status" title=${gone}>
      <span class="dot" aria-hidden="true"></span>${words[phase]}
      ${missed > 0 && html`<span class="missed"> · ${integer(missed)} missed</span>`}
    </span>
    <button type="button" class="plain" aria-pressed=${isPaused} title=${isPaused ? "Go on (p)" : "Pause (p)"} onClick=${togglePause}>
      <${Icon} name=${isPaused ? "play" : "pause"} />
      <span class="unseen">Pause</span>
      ${isPaused && count > 0 && html`<span class="new">${integer(count)} new</span>`}
    </button>
  </div>`;
}

function ThemeButton() {
  const chosen = useStore(theme);
  const icon = { system: "screen", light: "sun", dark: "moon" }[chosen];
  const words = { system: "as the system", light: "light", dark: "dark" }[chosen];
  return html`<button type="button" class="plain" aria-label=${`Theme: ${words}`} title=${`Theme: ${words} (t)`} onClick=${nextTheme}>
    <${Icon} name=${icon} />
  </button>`;
}

listenToLinks();
listenToKeys();
connect();
render(html`<${App} />`, document.getElementById("app"));
