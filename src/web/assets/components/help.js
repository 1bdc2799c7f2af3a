// What the keyboard does.
import { html, useEffect, useRef } from "../lib/html.js";
import { Icon } from "./icon.js";

const KEYS = [
  ["g n", "Now"],
  ["g r", "Runs"],
  ["g c", "Cost"],
  ["g h", "Health"],
  ["/", "Search"],
  ["j k", "Next, previous row"],
  ["Enter", "Open the row"],
  ["← →", "Fold, unfold (timeline)"],
  ["+ - 0", "Closer, wider, all of it (timeline)"],
  ["z", "As close as the chosen row (timeline)"],
  ["⇧← ⇧→", "Earlier, later (timeline)"],
  ["1 … 5", "Parts of a run"],
  ["[ ]", "Later, earlier run"],
  ["p", "Pause, go on"],
  ["t", "Light, dark, as the system"],
  ["Esc", "Close"],
  ["?", "This help"],
];

/**
 * @param {{close: () => void}} props
 */
export function Help({ close }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => dialog.current.showModal(), []);
  const leave = (event) => event.target === dialog.current && close();
  return html`<dialog ref=${dialog} class="help" aria-labelledby="help-title" onClose=${close} onClick=${leave}>
    <header>
      <h2 id="help-title">Keyboard</h2>
      <button type="button" class="plain" aria-label="Close" onClick=${close}><${Icon} name="close" /></button>
    </header>
    <dl>
      ${KEYS.map(([keys, what]) => html`<div><dt>${keys.split(" ").map((key) => html`<kbd>${key}</kbd>`)}</dt><dd>${what}</dd></div>`)}
    </dl>
  </dialog>`;
}
