// The timeline: the tree of a run's work, and beside it when each piece of it was. Only rows that are seen are there.
import { Component, html, useMemo, useRef } from "../lib/html.js";
import { dollars, duration, integer, onAxis } from "../lib/format.js";
import { choose, place, usePlace } from "../lib/router.js";
import { useKeys } from "../lib/keys.js";
import { now, useTime } from "../lib/clock.js";
import { extent, nameOf, ticks, troubleBelow, unfolded } from "../lib/tree.js";
import { Icon } from "../components/icon.js";
import { Empty } from "../components/states.js";
import { KindMark, StatusMark } from "../components/status.js";
import { Rows } from "../components/virtual.js";
import { Overview, useZoom } from "./overview.js";

/** On phones the name stands above its bar. */
const isNarrow = window.matchMedia("(max-width: 720px)");
const rowHeight = () => (isNarrow.matches ? 44 : 30);
/** What sticks above the rows: the parts of the run, the overview and the axis. */
const STICKY = 132;
const SECOND = (time) => Math.floor(time / 1000);
const NEVER = () => 0;

/**
 * @param {{run: import("../lib/api.js").Run, rows: import("../lib/tree.js").Row[], selected: string | null}} props
 */
export function Timeline({ run, rows, selected }) {
  const { query } = usePlace();
  const area = useRef(/** @type {HTMLElement | null} */ (null));
  const foldedText = query.get("folded") ?? "";
  const folded = useMemo(() => new Set(foldedText.split(",").filter(Boolean)), [foldedText]);
  const trouble = useMemo(() => troubleBelow(rows), [rows]);
  useTime(run.status === "running" ? SECOND : NEVER);
  const whole = extent(rows, now());
  const zoom = useZoom(area, query.get("time"), whole.to - whole.from);
  const from = whole.from + zoom.shown.from;
  const to = whole.from + zoom.shown.to;
  const seen = useMemo(() => {
    const shown = unfolded(rows, folded);
    return zoom.isWhole ? shown : shown.filter(({ start, stop }) => start <= to && (stop ?? Infinity) >= from);
  }, [rows, folded, zoom.isWhole || from, zoom.isWhole || to]);
  const at = useMemo(() => seen.findIndex(({ node }) => node.span_id === selected), [seen, selected]);
  useTimelineKeys({ rows, seen, folded, zoom, whole });
  if (rows.length === 0) return html`<${Empty} title="No work of this run is known." icon="list" />`;
  return html`<div class="timeline" ref=${area}>
    <div class="timehead">
      <${Overview} rows=${rows} whole=${whole} zoom=${zoom} seen=${seen.length} />
      <${Axis} ...${zoom.shown} />
    </div>
    <${Rows} class="treegrid" role="treegrid" aria-label="Work of the run" aria-rowcount=${seen.length} tabindex="0"
      aria-activedescendant=${at >= 0 ? `row-${selected}` : null} count=${seen.length} height=${rowHeight()} reveal=${at >= 0 ? at : null} top=${STICKY}
      row=${(index, key) => {
        const row = seen[index];
        return html`<${Line} key=${key} row=${row} index=${index} from=${from} to=${to} isSelected=${index === at}
          isFolded=${folded.has(row.node.span_id)} hasTrouble=${trouble[row.index]} />`;
      }} />
  </div>`;
}

function fold({ span_id: span }, isFolded) {
  const folded = new Set((place.get().query.get("folded") ?? "").split(",").filter(Boolean));
  if (isFolded) folded.add(span);
  else folded.delete(span);
  choose({ folded: [...folded].join(",") });
}

function useTimelineKeys({ rows, seen, folded, zoom, whole }) {
  const select = (index) => {
    const row = seen[Math.max(0, Math.min(seen.length - 1, index))];
    if (row) choose({ span: row.node.span_id });
  };
  // Keys may come faster than what they do is drawn.
  const here = () => seen.findIndex(({ node }) => node.span_id === place.get().query.get("span"));
  const left = () => {
    const row = seen[here()];
    if (!row) return;
    if (row.end > row.index + 1 && !folded.has(row.node.span_id)) fold(row.node, true);
    else if (row.parent >= 0) choose({ span: rows[row.parent].node.span_id });
  };
  const right = () => {
    const row = seen[here()];
    if (!row) return;
    if (folded.has(row.node.span_id)) fold(row.node, false);
    else if (row.end > row.index + 1) select(here() + 1);
  };
  const focus = () => {
    const row = seen[here()];
    return row ? (row.start + (row.stop ?? now())) / 2 - whole.from : null;
  };
  const keys = {
    j: () => select(here() + 1),
    k: () => select(here() - 1),
    Home: () => select(0),
    End: () => select(seen.length - 1),
    ArrowLeft: (event) => (event.shiftKey ? zoom.moveBy(-0.25) : left()),
    ArrowRight: (event) => (event.shiftKey ? zoom.moveBy(0.25) : right()),
    "+": () => zoom.by(0.5, focus()),
    "-": () => zoom.by(2, focus()),
    0: () => zoom.reset(),
    z: () => {
      const row = seen[here()];
      if (row) zoom.to(row.start - whole.from, (row.stop ?? now()) - whole.from);
    },
  };
  useKeys({ ...keys, "=": keys["+"], ArrowDown: keys.j, ArrowUp: keys.k });
}

function Axis({ from, to }) {
  const { step, times } = ticks(from, to, 5);
  return html`<div class="axis" aria-hidden="true">
    <span class="tree">Work</span>
    <span class="took">Took</span>
    <span class="bars">
      ${times.map((time) => html`<span class="tick" style=${{ left: `${((time - from) / (to - from)) * 100}%` }}>${onAxis(time, step)}</span>`)}
    </span>
    <span class="sum">Cost</span>
  </div>`;
}

/** A row. It is drawn again only if what it shows has changed: all rows are asked at each step of scrolling. */
class Line extends Component {
  shouldComponentUpdate(next) {
    const { row, index, from, to, isSelected, isFolded, hasTrouble } = this.props;
    const isSame = next.row === row && next.index === index && next.from === from && next.to === to;
    return !(isSame && next.isSelected === isSelected && next.isFolded === isFolded && next.hasTrouble === hasTrouble) || row.stop === null;
  }

  click = (event) => {
    const { row, isSelected, isFolded } = this.props;
    if (row.end > row.index + 1 && event.target.closest(".fold")) fold(row.node, !isFolded);
    else choose({ span: isSelected ? null : row.node.span_id });
  };

  render({ row, index, from, to, isSelected, isFolded, hasTrouble }) {
    const { node, depth } = row;
    const hasChildren = row.end > row.index + 1;
    const name = nameOf(node);
    const took = row.stop === null ? duration(now() - row.start) : duration(node.duration_ms);
    return html`<div id=${`row-${node.span_id}`} role="row" aria-level=${depth + 1} aria-posinset=${row.place} aria-setsize=${row.siblings}
        aria-rowindex=${index + 1} aria-expanded=${hasChildren ? !isFolded : null} aria-selected=${isSelected}
        class=${`line ${node.scope} ${node.status} ${isSelected ? "selected" : ""}`} onClick=${this.click}>
      <span role="gridcell" class="tree" title=${node.error ? `${name}: ${node.error}` : name} style=${{ paddingLeft: `${Math.min(depth, 24) * 14 + 4}px` }}>
        <span class=${hasChildren ? `fold ${isFolded ? "" : "open"}` : "fold none"} aria-hidden="true"></span>
        <${KindMark} scope=${node.scope} />
        <span class="name">${name}</span>
        ${node.name && node.model && html`<span class="beside">${node.model}</span>`}
        ${isFolded && html`<span class="beside">+${integer(row.end - row.index - 1)}</span>`}
        ${node.status !== "completed" && html`<${StatusMark} status=${node.status} wordless />`}
        ${isFolded && hasTrouble && node.status === "completed" && html`<span class="bad" title="Something below failed"><${Icon} name="warning" /></span>`}
      </span>
      <span role="gridcell" class="took">${took}</span>
      <span role="gridcell" class="bars"><span class="bar" style=${barOf(row, from, to)}></span></span>
      <span role="gridcell" class="sum">${node.cost_usd !== undefined ? dollars(node.cost_usd) : ""}</span>
    </div>`;
  }
}

/** Where the bar is, as far as it is in the time shown. */
function barOf({ start, stop }, from, to) {
  const [left, right] = [Math.max(start, from), Math.min(stop ?? now(), to)].map((time) => ((time - from) / (to - from)) * 100);
  return { left: `${left.toFixed(3)}%`, width: `max(2px, ${(right - left).toFixed(3)}%)` };
}
