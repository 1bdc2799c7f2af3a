// The address is the state: which screen, and everything chosen on it.
import { store, useStore } from "./store.js";

/**
 * @typedef {{path: string, parts: string[], query: URLSearchParams}} Place
 */

/** @type {import("./store.js").Store<Place>} */
export const place = store(read());

/** The place shown. */
export function usePlace() {
  return useStore(place);
}

/**
 * Goes to an address of the page.
 * @param {string} url
 * @param {{replace?: boolean}} [how] whether the way back leaves out where one was
 */
export function go(url, { replace = false } = {}) {
  if (url === window.location.pathname + window.location.search) return;
  window.history[replace ? "replaceState" : "pushState"](null, "", url);
  place.set(read());
}

/**
 * The address of the place shown with other choices; null takes one away.
 * @param {Record<string, string | null>} choices
 */
export function withChoices(choices) {
  const { path, query } = place.get();
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(choices)) {
    if (value === null || value === "") next.delete(key);
    else next.set(key, value);
  }
  const text = next.toString();
  return text ? `${path}?${text}` : path;
}

/**
 * Changes what is chosen on the screen.
 * @param {Record<string, string | null>} choices
 * @param {{replace?: boolean}} [how]
 */
export function choose(choices, { replace = true } = {}) {
  go(withChoices(choices), { replace });
}

/** The address of a run. */
export function runUrl(id, choices = "") {
  return `/runs/${encodeURIComponent(id)}${choices}`;
}

/** Follows links within the page, and the browser's back and forward. */
export function listenToLinks() {
  window.addEventListener("popstate", () => place.set(read()));
  document.addEventListener("click", (event) => {
    const link = /** @type {Element} */ (event.target).closest?.('a[href^="/"]');
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const url = link && new URL(link.getAttribute("href"), window.location.href);
    const isOurs = url && url.origin === window.location.origin && isScreen(url.pathname) && !link.target;
    if (!isPlain || !isOurs || event.defaultPrevented) return;
    event.preventDefault();
    go(url.pathname + url.search);
  });
}

function isScreen(path) {
  return path === "/" || /^\/(runs|cost|health)(\/|$)/.test(path);
}

function read() {
  const path = window.location.pathname;
  const parts = path.split("/").filter(Boolean).map(decode);
  return { path, parts, query: new URLSearchParams(window.location.search) };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
