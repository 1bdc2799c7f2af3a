// Light or dark: as the system has it, unless somebody chose.
import { store } from "./store.js";

/** @typedef {"system" | "light" | "dark"} Theme */

const KEY = "spanlight.theme";

/** @type {import("./store.js").Store<Theme>} */
export const theme = store(/** @type {Theme} */ (document.documentElement.dataset.theme ?? "system"));

/** The next of system, light and dark. */
export function nextTheme() {
  const order = /** @type {Theme[]} */ (["system", "light", "dark"]);
  const next = order[(order.indexOf(theme.get()) + 1) % order.length];
  if (next === "system") {
    delete document.documentElement.dataset.theme;
    window.localStorage.removeItem(KEY);
  } else {
    document.documentElement.dataset.theme = next;
    window.localStorage.setItem(KEY, next);
  }
  theme.set(next);
}
