// The timeline: the tree of a run's work, and beside it when each piece of it was. Only rows that are seen are there.
import { Component, html, useMemo } from "../lib/html.js";
import { dollars, duration, integer } from "../lib/format.js";
import { choose, place, usePlace } from "../lib/router.js";
import { useKeys } from "../lib/keys.js";
import { now, useTime } from "../lib/clock.js";
import { extent, nameOf, ticks, troubleBelow, unfolded } from "../lib/tree.js";
import { Icon } from "../components/icon.js";
import { Empty } from "../components/states.js";
import { KindMark, StatusMark } from "../components/status.js";
import { Rows } from "../components/virtual.js";

/** On phones the name stands above its bar. */
const isNarrow = window.matchMedia("(max-width: 720px)");
const rowHeight = () => (isNarrow.matches ? 44 : 30);
/** What sticks above the rows: the parts of the run, and the axis. */
const STICKY = 90;
const SECOND = (time) => Math.floor(time / 1000);
const NEVER = () => 0;

/**
 * @param {{run: import("../lib/api.js").Run, rows: import("../lib/tree.js").Row[], selected: string | null}} props
 */
export function Timeline({ run, rows, selected }) {
  const { query } = usePlace();
  const foldedText = query.get("folded") ?? "";
  const folded = useMemo(() => new Set(foldedText.split(",").filter(Boolean)), [foldedText]);
  const seen = useMemo(() => unfolded(rows, folded), [rows, folded]);
  const trouble = useMemo(() => troubleBelow(rows), [rows]);
  useTime(run.status === "running" ? SECOND : NEVER);
  const span = extent(rows, now());
  const at = seen.findIndex(({ node }) => node.span_id === selected);
  const fold = (row, isFolded) => {
    const next = new Set(folded);
    if (isFolded) next.add(row.node.span_id);
    else next.delete(row.node.span_id);
    choose({ folded: [...next].join(",") });
  };
  const select = (index) => {
    const row = seen[Math.max(0, Math.min(seen.length - 1, index))];
    if (row) choose({ span: row.node.span_id });
  };
  // Keys may come faster than what they do is drawn.
  const here = () => seen.findIndex(({ node }) => node.span_id === place.get().query.get("span"));
  const keys = {
    j: () => select(here() + 1),
    k: () => select(here() - 1),
    Home: () => select(0),
    End: () => select(seen.length - 1),
    ArrowLeft: () => {
      const row = seen[here()];
      if (!row) return;
      if (row.end > row.index + 1 && !folded.has(row.node.span_id)) fold(row, true);
      else if (row.parent >= 0) choose({ span: rows[row.parent].node.span_id });
    },
    ArrowRight: () => {
      const row = seen[here()];
      if (!row) return;
      if (folded.has(row.node.span_id)) fold(row, false);
      else if (row.end > row.index + 1) select(here() + 1);
    },
  };
  useKeys({ ...keys, ArrowDown: keys.j, ArrowUp: keys.k });
  if (rows.length === 0) return html`<${Empty} title="No work of this run is known." icon="list" />`;
  return html`<div class="timeline">
    <${Axis} length=${span.to - span.from} />
    <${Rows} class="treegrid" role="treegrid" aria-label="Work of the run" aria-rowcount=${seen.length} tabindex="0"
      aria-activedescendant=${at >= 0 ? `row-${selected}` : null} count=${seen.length} height=${rowHeight()} reveal=${at >= 0 ? at : null} top=${STICKY}
      row=${(index) => {
        const row = seen[index];
        return html`<${Line} key=${row.node.span_id} row=${row} index=${index} from=${span.from} to=${span.to} isSelected=${index === at}
          isFolded=${folded.has(row.node.span_id)} hasTrouble=${trouble[row.index]} fold=${fold} />`;
      }} />
  </div>`;
}

function Axis({ length }) {
  return html`<div class="axis" aria-hidden="true">
    <span class="tree">Work</span>
    <span class="took">Took</span>
    <span class="bars">
      ${ticks(length, 5).map((tick) => html`<span class="tick" style=${{ left: `${(tick / length) * 100}%` }}>${tick ? duration(tick) : "0"}</span>`)}
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

  render({ row, index, from, to, isSelected, isFolded, hasTrouble, fold }) {
    const { node, depth } = row;
    const hasChildren = row.end > row.index + 1;
    const name = nameOf(node);
    const took = row.stop === null ? duration(now() - row.start) : duration(node.duration_ms);
    const click = (event) => {
      if (hasChildren && event.target.closest(".fold")) fold(row, !isFolded);
      else choose({ span: isSelected ? null : node.span_id });
    };
    return html`<div id=${`row-${node.span_id}`} role="row" aria-level=${depth + 1} aria-posinset=${row.place} aria-setsize=${row.siblings}
        aria-rowindex=${index + 1} aria-expanded=${hasChildren ? !isFolded : null} aria-selected=${isSelected}
        class=${`line ${node.scope} ${node.status} ${isSelected ? "selected" : ""}`} onClick=${click}>
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
      <span role="gridcell" class="bars"><${Bar} row=${row} from=${from} length=${to - from} /></span>
      <span role="gridcell" class="sum number">${node.cost_usd !== undefined ? dollars(node.cost_usd) : ""}</span>
    </div>`;
  }
}

function Bar({ row, from, length }) {
  const { start, stop } = row;
  const left = ((start - from) / length) * 100;
  const width = (((stop ?? now()) - start) / length) * 100;
  return html`<span class="lane"><span class="bar" style=${{ left: `${left}%`, width: `max(2px, ${width}%)` }}></span></span>`;
}
