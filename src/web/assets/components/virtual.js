// Lists of any length: only the rows that can be seen are there.
import { html, useLayoutEffect, useRef, useState } from "../lib/html.js";

const BEYOND = 6;

/**
 * Rows of one height in the scrolling main part of the page.
 * @param {{count: number, height: number, row: (index: number, key: string) => any, class?: string,
 *   reveal?: number | null, top?: number} & Record<string, any>} props
 *   `row`: with the key, what comes into view takes over the elements of what left it; without, rows keep their own, as
 *   those must that can have the focus; `reveal`: the row that has to be seen, whenever it changes; `top`: the height of
 *   what sticks above the rows
 */
export function Rows({ count, height, row, class: className = "", reveal = null, top = 0, ...rest }) {
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const keys = useRef({ byIndex: /** @type {Map<number, string>} */ (new Map()), made: 0 });
  const [seen, setSeen] = useState(firstSeen(height));

  useLayoutEffect(() => {
    const scroller = scrollerOf(list.current);
    let frame = 0;
    const look = () => {
      frame = 0;
      if (!list.current) return;
      const above = scroller.getBoundingClientRect().top - list.current.getBoundingClientRect().top;
      const from = Math.max(0, Math.floor(above / height) - BEYOND);
      const to = Math.ceil((above + scroller.clientHeight) / height) + BEYOND;
      setSeen((before) => (before.from === from && before.to === to ? before : { from, to }));
    };
    const later = () => {
      frame ||= window.requestAnimationFrame(look);
    };
    // Not at once: where things are is known cheaply only when the page is laid out.
    later();
    scroller.addEventListener("scroll", later, { passive: true });
    const observer = new ResizeObserver(later);
    observer.observe(scroller);
    observer.observe(list.current);
    return () => {
      scroller.removeEventListener("scroll", later);
      observer.disconnect();
      window.cancelAnimationFrame(frame);
    };
  }, [height]);

  useLayoutEffect(() => {
    if (reveal === null || reveal < 0 || !list.current) return;
    const scroller = scrollerOf(list.current);
    const view = scroller.getBoundingClientRect();
    const at = list.current.getBoundingClientRect().top + reveal * height;
    if (at < view.top + top) scroller.scrollTop -= view.top + top - at + height;
    else if (at + height > view.bottom) scroller.scrollTop += at + 2 * height - view.bottom;
  }, [reveal]);

  const from = Math.min(seen.from, count);
  const to = Math.min(seen.to, count);
  handOn(keys.current, from, to);
  const rows = [];
  for (let index = from; index < to; index += 1) rows.push(row(index, keys.current.byIndex.get(index)));
  return html`<div ref=${list} class=${`rows ${className}`} style=${{ height: `${count * height}px` }} ...${rest}>
    <div class="window" role="presentation" style=${{ transform: `translateY(${from * height}px)` }}>${rows}</div>
  </div>`;
}

/** As many as there may be at the top of the page, before anything is measured. */
function firstSeen(height) {
  return { from: 0, to: Math.ceil(window.innerHeight / height) };
}

/** Rows that stay keep their keys; those that come take the keys of those that went. */
function handOn(keys, from, to) {
  const kept = new Map();
  const free = [];
  for (const [index, key] of keys.byIndex) {
    if (index >= from && index < to) kept.set(index, key);
    else free.push(key);
  }
  for (let index = from; index < to; index += 1) {
    if (!kept.has(index)) kept.set(index, free.pop() ?? String(keys.made++));
  }
  keys.byIndex = kept;
}

/** The part of the page that scrolls. */
function scrollerOf(element) {
  return element.closest("main");
}
