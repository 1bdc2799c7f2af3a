// Runs, one in each row; every row leads to its run.
import { Component, html } from "../lib/html.js";
import { compact, duration, integer } from "../lib/format.js";
import { runUrl } from "../lib/router.js";
import { CostOf } from "./figures.js";
import { StatusMark } from "./status.js";
import { Ago, Clock } from "./time.js";
import { Rows } from "./virtual.js";

/** On phones a run is a card. */
const isNarrow = window.matchMedia("(max-width: 720px)");
const rowHeight = () => (isNarrow.matches ? 88 : 54);
/** What sticks above the rows. */
const HEAD = 32;

/**
 * @param {{runs: import("../lib/api.js").Run[], selected?: string | null, label: string}} props
 */
export function RunList({ runs, selected = null, label }) {
  const at = selected === null ? null : runs.findIndex((run) => run.id === selected);
  return html`<div class="table runlist" role="table" aria-label=${label} aria-rowcount=${runs.length + 1}>
    <div class="row head" role="row">
      <span role="columnheader">Status</span>
      <span role="columnheader">Run</span>
      <span role="columnheader">Agents</span>
      <span role="columnheader" class="number">Calls</span>
      <span role="columnheader" class="number">Tools</span>
      <span role="columnheader" class="number">Tokens</span>
      <span role="columnheader" class="number">Cost</span>
      <span role="columnheader" class="number">Took</span>
      <span role="columnheader" class="number">Began</span>
    </div>
    <${Rows} role="rowgroup" count=${runs.length} height=${rowHeight()} reveal=${at} top=${HEAD}
      row=${(index) => html`<${RunRow} key=${runs[index].id} run=${runs[index]} index=${index} isSelected=${index === at} />`} />
  </div>`;
}

/** Drawn again only if its run has been told of anew, which for most of a long list it has not. */
class RunRow extends Component {
  shouldComponentUpdate(next) {
    const { run, index, isSelected } = this.props;
    return next.run !== run || next.index !== index || next.isSelected !== isSelected;
  }

  render({ run, index, isSelected }) {
    return rowOf(run, index, isSelected);
  }
}

function rowOf(run, index, isSelected) {
  const { figures } = run;
  const failed = (count) => count > 0 && html` <span class="bad" title=${`${integer(count)} failed`}>✗${compact(count)}</span>`;
  const calls = (figures.llm_calls ?? 0) + (figures.llm_failed ?? 0);
  const tokens = (figures.input_tokens ?? 0) + (figures.output_tokens ?? 0);
  return html`<div class=${`row ${run.status} ${isSelected ? "selected" : ""}`} role="row" aria-rowindex=${index + 2} data-run=${run.id}>
    <span role="cell" class="of-status"><${StatusMark} status=${run.status} /></span>
    <span role="cell" class="of-name">
      <a class="cover" href=${runUrl(run.id)} title=${run.name}>${run.name}</a>
      <span class="under" title=${run.error ?? null}>
        ${run.error ? html`<span class="bad">${run.error}</span>` : subject(run)}
      </span>
    </span>
    <span role="cell" class="of-agents" title=${run.agents.join(", ")}>${run.agents.join(", ") || "–"}</span>
    <span role="cell" class="number of-calls">${compact(calls)}${failed(figures.llm_failed)}</span>
    <span role="cell" class="number of-tools">${compact(figures.tool_calls ?? 0)}${failed(figures.tool_failed)}</span>
    <span role="cell" class="number of-tokens">${tokens ? compact(tokens) : "–"}</span>
    <span role="cell" class="number of-cost"><${CostOf} figures=${figures} /></span>
    <span role="cell" class="number of-time">
      ${run.status === "running" ? html`<${Clock} since=${run.started_at} />` : duration(run.duration_ms)}
    </span>
    <span role="cell" class="number of-began"><${Ago} at=${run.started_at} /></span>
  </div>`;
}

/** What the run was for, as far as anybody said. */
function subject(run) {
  return [run.feature, run.task_id, run.service].filter(Boolean).join(" · ");
}
