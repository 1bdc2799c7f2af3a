// A button for what comes next, which presses itself while it is near.
import { html, useEffect, useRef } from "../lib/html.js";

/** So near, in pixels below what is seen. */
const NEAR = 1500;

/**
 * @param {{text: string, more: () => void}} props with a key that is another whenever `more` has had its effect
 */
export function More({ text, more }) {
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const latest = useRef(more);
  latest.current = more;
  useEffect(() => {
    // What is busy hears of several changes at once, of which the last is how it is now.
    const look = (changes) => changes.at(-1).isIntersecting && latest.current();
    const observer = new IntersectionObserver(look, { root: button.current.closest("main"), rootMargin: `${NEAR}px` });
    observer.observe(button.current);
    return () => observer.disconnect();
  }, []);
  return html`<p class="more-rows"><button type="button" ref=${button} onClick=${more}>${text}</button></p>`;
}
