// Lists of any length: only the rows that can be seen are there.
import { html, useLayoutEffect, useRef, useState } from "../lib/html.js";

const BEYOND = 8;

/**
 * Rows of one height in the scrolling main part of the page.
 * @param {{count: number, height: number, row: (index: number) => any, class?: string, reveal?: number | null,
 *   top?: number} & Record<string, any>} props
 *   `reveal`: the row that has to be seen, whenever it changes; `top`: the height of what sticks above the rows
 */
export function Rows({ count, height, row, class: className = "", reveal = null, top = 0, ...rest }) {
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const [seen, setSeen] = useState({ from: 0, to: 40 });

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
    look();
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
  const rows = [];
  for (let index = from; index < to; index += 1) rows.push(row(index));
  return html`<div ref=${list} class=${`rows ${className}`} style=${{ height: `${count * height}px` }} ...${rest}>
    <div class="window" role="presentation" style=${{ transform: `translateY(${from * height}px)` }}>${rows}</div>
  </div>`;
}

/** The part of the page that scrolls. */
function scrollerOf(element) {
  return element.closest("main");
}
