// The keyboard: what keys do is said by whoever is on the screen, the last one first.
import { useEffect, useRef } from "./html.js";

/** @typedef {Record<string, (event: KeyboardEvent) => void>} KeyMap "j", "Enter", "?", or two after one another: "g r" */

const SECOND_KEY_WITHIN = 1200;
/** @type {{current: KeyMap}[]} */
const maps = [];
let first = { key: "", at: 0 };

/**
 * Has keys do something as long as the component is shown.
 * @param {KeyMap} map
 */
export function useKeys(map) {
  const current = useRef(map);
  current.current = map;
  useEffect(() => {
    maps.push(current);
    return () => {
      maps.splice(maps.indexOf(current), 1);
    };
  }, []);
}

/** Begins to listen. */
export function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    // A dialog has the keyboard for itself.
    if (document.querySelector("dialog[open]")) return;
    const target = /** @type {HTMLElement} */ (event.target);
    const isWriting = target.matches("input:not([type=checkbox]), textarea, select");
    if (isWriting && event.key !== "Escape") return;
    const both = performance.now() - first.at < SECOND_KEY_WITHIN ? `${first.key} ${event.key}` : "";
    first = { key: event.key, at: performance.now() };
    const act = find(both) ?? find(event.key);
    if (!act) return;
    // Enter and space on a button or link are the button's or link's.
    if (["Enter", " "].includes(event.key) && target.matches("a, button, summary, [role=tab]")) return;
    event.preventDefault();
    first = { key: "", at: 0 };
    act(event);
  });
}

function find(keys) {
  const map = keys && [...maps].reverse().find((map) => map.current[keys]);
  return map ? map.current[keys] : undefined;
}
