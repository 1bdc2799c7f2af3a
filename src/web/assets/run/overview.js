// All the time of a run at a glance, and which part of it the timeline shows.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../lib/html.js";
import { integer, onAxis } from "../lib/format.js";
import { choose } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { theme } from "../lib/theme.js";
import { between, isWhole, moved, read, write, zoomed } from "../lib/zoom.js";
import { now } from "../lib/clock.js";
import { Icon } from "../components/icon.js";

/** The address changes when a movement has come to rest: browsers count how often it does. */
const REST = 150;
/** Less than these pixels is a click. */
const CLICK = 3;
/** What is deeper is drawn as if it were no deeper. */
const DEEPEST = 11;
const KINDS = ["workflow", "workflow_step", "agent", "llm_request", "tool", "system"];

/**
 * The part of the run that is shown, and what changes it.
 * @typedef {{shown: import("../lib/zoom.js").Stretch, length: number, isWhole: boolean,
 *   by: (factor: number, at?: number | null) => void, moveBy: (share: number) => void,
 *   to: (from: number, to: number) => void, reset: () => void}} Zoom
 */

/**
 * @param {{current: HTMLElement | null}} area where the wheel zooms
 * @param {string | null} text what the address says
 * @param {number} length of the run
 * @returns {Zoom}
 */
export function useZoom(area, text, length) {
  // What the address is about to say.
  const [draft, setDraft] = useState(/** @type {import("../lib/zoom.js").Stretch | null} */ (null));
  const state = useRef({ shown: { from: 0, to: length }, length, timer: 0 });
  const shown = useMemo(() => draft ?? read(text, length), [draft, text, length]);
  Object.assign(state.current, { shown, length });

  const zoom = useMemo(() => {
    const set = (next) => {
      state.current.shown = next;
      setDraft(next);
      window.clearTimeout(state.current.timer);
      state.current.timer = window.setTimeout(() => {
        choose({ time: write(next, state.current.length) });
        setDraft(null);
      }, REST);
    };
    const middle = () => (state.current.shown.from + state.current.shown.to) / 2;
    return {
      by: (factor, at) => set(zoomed(state.current.shown, state.current.length, factor, at ?? middle())),
      moveBy: (share) => {
        const { shown, length } = state.current;
        set(moved(shown, length, share * (shown.to - shown.from)));
      },
      to: (a, b) => set(between(a, b, state.current.length)),
      reset: () => set({ from: 0, to: state.current.length }),
    };
  }, []);

  useEffect(() => {
    const element = area.current;
    const wheel = (event) => {
      const bars = element.querySelector(".axis .bars").getBoundingClientRect();
      const { shown, length } = state.current;
      const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (event.ctrlKey || event.metaKey) {
        const share = Math.max(0, Math.min(1, (event.clientX - bars.left) / bars.width));
        const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * 30;
        zoom.by(Math.exp(Math.max(-60, Math.min(60, pixels)) / 150), shown.from + share * (shown.to - shown.from));
      } else if (isSideways && !isWhole(shown, length)) {
        zoom.moveBy(event.deltaX / bars.width);
      } else return;
      event.preventDefault();
    };
    element?.addEventListener("wheel", wheel, { passive: false });
    return () => element?.removeEventListener("wheel", wheel);
  }, [area.current]);
  useEffect(() => () => window.clearTimeout(state.current.timer), []);

  return { ...zoom, shown, length, isWhole: isWhole(shown, length) };
}

/**
 * @param {{rows: import("../lib/tree.js").Row[], whole: {from: number, to: number}, zoom: Zoom,
 *   seen: number}} props `seen`: how many rows there are in the time shown
 */
export function Overview({ rows, whole, zoom, seen }) {
  const { from, to } = zoom.shown;
  const { length } = zoom;
  const share = (time) => `${(time / length) * 100}%`;
  const step = (to - from) / 100;
  const strip = useRef(/** @type {HTMLElement | null} */ (null));
  const drag = useDrag(strip, zoom);
  return html`<div class="overview" role="group" aria-label="Time shown">
    <span class="about">
      <output>${zoom.isWhole ? "All of it" : html`${onAxis(from, step)} – ${onAxis(to, step)} <span class="count">${integer(seen)} of ${integer(rows.length)}</span>`}</output>
      <button type="button" class="plain" title="Closer (+)" aria-label="Closer" onClick=${() => zoom.by(0.5)}>+</button>
      <button type="button" class="plain" title="Wider (-)" aria-label="Wider" disabled=${zoom.isWhole} onClick=${() => zoom.by(2)}>−</button>
      <button type="button" class="plain" title="All of it (0)" aria-label="All of it" disabled=${zoom.isWhole} onClick=${zoom.reset}><${Icon} name="fit" /></button>
    </span>
    <div class="strip" ref=${strip} title="Drag to look closer, double-click for all of it" ...${drag} onDblClick=${zoom.reset}>
      <${Drawing} rows=${rows} whole=${whole} />
      <div class="shade" style=${{ left: 0, width: share(from) }}></div>
      <div class="shade" style=${{ left: share(to), right: 0 }}></div>
      <${Edge} name="from" value=${from} zoom=${zoom} step=${step} left=${share(from)} set=${(time) => zoom.to(Math.min(time, to), to)} />
      <${Edge} name="to" value=${to} zoom=${zoom} step=${step} left=${share(to)} set=${(time) => zoom.to(from, Math.max(time, from))} />
    </div>
  </div>`;
}

/** One end of what is shown, as a slider. */
function Edge({ name, value, zoom, step, left, set }) {
  const press = (event) => {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
    const at = { Home: 0, End: zoom.length }[event.key] ?? (by && value + (by * zoom.length) / 100);
    if (at === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    set(at);
  };
  return html`<div class=${`edge ${name}`} role="slider" tabindex="0" aria-label=${`Shown ${name}`} data-edge=${name}
    aria-valuemin="0" aria-valuemax=${Math.round(zoom.length)} aria-valuenow=${Math.round(value)} aria-valuetext=${onAxis(value, step)}
    style=${{ left }} onKeyDown=${press}></div>`;
}

/** Drawing a part of the strip shows it; an end of what is shown, and what is shown itself, can be moved. */
function useDrag(strip, zoom) {
  const drag = useRef(/** @type {null | {kind: string, at: number, x: number,
   *   shown: import("../lib/zoom.js").Stretch}} */ (null));
  const timeAt = (x) => {
    const { left, width } = strip.current.getBoundingClientRect();
    return Math.max(0, Math.min(1, (x - left) / width)) * zoom.length;
  };
  return {
    onPointerDown: (event) => {
      if (event.button !== 0) return;
      const at = timeAt(event.clientX);
      const { shown } = zoom;
      const isInside = !zoom.isWhole && at > shown.from && at < shown.to;
      drag.current = { kind: event.target.dataset.edge ?? (isInside ? "move" : "new"), at, x: event.clientX, shown };
      strip.current.setPointerCapture(event.pointerId);
    },
    onPointerMove: (event) => {
      if (!drag.current) return;
      const { kind, at, x, shown } = drag.current;
      const time = timeAt(event.clientX);
      if (kind === "from") zoom.to(Math.min(time, shown.to), shown.to);
      else if (kind === "to") zoom.to(shown.from, Math.max(time, shown.from));
      else if (Math.abs(event.clientX - x) < CLICK) return;
      else if (kind === "move") {
        const by = moved(shown, zoom.length, time - at);
        zoom.to(by.from, by.to);
      } else zoom.to(at, time);
    },
    onPointerUp: () => (drag.current = null),
    onPointerCancel: () => (drag.current = null),
  };
}

/** All work, what is within below what it is within, drawn once the rows are there: it is not what anybody waits for. */
function Drawing({ rows, whole }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const [size, setSize] = useState({ width: 0, height: 0 });
  const chosen = useStore(theme);
  const [isDark, setDark] = useState(false);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => setSize({ width: entry.contentRect.width, height: entry.contentRect.height }));
    observer.observe(canvas.current);
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    const change = () => setDark(dark.matches);
    change();
    dark.addEventListener("change", change);
    return () => {
      observer.disconnect();
      dark.removeEventListener("change", change);
    };
  }, []);
  useEffect(() => {
    if (size.width === 0) return undefined;
    const timer = window.setTimeout(() => draw(canvas.current, size, rows, whole));
    return () => window.clearTimeout(timer);
  }, [rows, whole.from, whole.to, size, chosen, isDark]);
  return html`<canvas ref=${canvas} aria-hidden="true"></canvas>`;
}

function draw(canvas, { width, height }, rows, { from, to }) {
  const density = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  const brush = canvas.getContext("2d");
  brush.scale(density, density);
  const tall = (height - 4) / (Math.min(DEEPEST, Math.max(...new Set(rows.map(({ depth }) => depth)))) + 1);
  const bar = ({ depth, start, stop }) => {
    const left = ((start - from) / (to - from)) * width;
    const right = (((stop ?? now()) - from) / (to - from)) * width;
    brush.fillRect(left, 2 + Math.min(depth, DEEPEST) * tall, Math.max(1, right - left), Math.max(1, tall - 1));
  };
  for (const kind of KINDS) {
    brush.fillStyle = colour(canvas, kind);
    for (const row of rows) if (row.node.scope === kind) bar(row);
  }
  brush.fillStyle = colour(canvas, "bad");
  for (const row of rows) if (row.node.status === "failed") bar(row);
}

/** A colour of the stylesheet, as it is in the theme. */
function colour(canvas, name) {
  canvas.style.color = `var(--${name})`;
  return getComputedStyle(canvas).color;
}
