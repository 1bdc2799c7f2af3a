// Who asks, where the collector wants to know: a token, kept as long as the tab.
import { store } from "./store.js";

const KEY = "spanlight.token";

/** @type {import("./store.js").Store<string>} */
export const token = store(window.sessionStorage.getItem(KEY) ?? "");
/** Why the collector lets nobody in, as it says it; empty as long as it does. */
export const denied = store("");

/**
 * Goes on with another token.
 * @param {string} text
 */
export function useAsToken(text) {
  window.sessionStorage.setItem(KEY, text);
  token.set(text);
  denied.set("");
}
