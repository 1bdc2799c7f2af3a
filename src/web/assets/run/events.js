// The events of a run as they were told, one in each row; only rows that are seen are there.
import { html, useMemo } from "../lib/html.js";
import { clock, dollars, duration, integer } from "../lib/format.js";
import { noteOf } from "../lib/notes.js";
import { choose, usePlace } from "../lib/router.js";
import { useKeys } from "../lib/keys.js";
import { Icon } from "../components/icon.js";
import { LongText } from "../components/json.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { KindMark } from "../components/status.js";
import { Rows } from "../components/virtual.js";

const ROW = 30;
const STICKY = 100;
const SCOPES = ["workflow", "workflow_step", "agent", "llm_request", "tool", "system"];

/**
 * @param {{events: import("./useevents.js").RunEvents}} props
 */
export function Events({ events }) {
  const { query } = usePlace();
  const scope = query.get("scope") ?? "";
  const text = query.get("find") ?? "";
  const list = useMemo(() => filter(events.list, scope, text), [events.list, scope, text]);
  const chosen = query.get("event");
  const at = list.findIndex(({ offset }) => String(offset) === chosen);
  const select = (index) => {
    const next = list[Math.max(0, Math.min(list.length - 1, index))];
    if (next) choose({ event: String(next.offset), span: null });
  };
  const keys = { j: () => select(at + 1), k: () => select(at - 1), "/": () => document.getElementById("find-event").focus() };
  useKeys({ ...keys, ArrowDown: keys.j, ArrowUp: keys.k });
  if (events.error && events.list.length === 0) return html`<${Failure} error=${events.error} />`;
  if (!events.loaded) return html`<${Loading} />`;
  if (events.list.length === 0) return html`<${Empty} title="The events of this run have left memory." icon="bell" />`;
  return html`<div class="events">
    <form class="filters" onSubmit=${(event) => event.preventDefault()}>
      <label class="searchbox"><${Icon} name="search" /><span class="unseen">Search in events</span>
        <input id="find-event" type="search" placeholder="Any text in an event" value=${text} onInput=${(event) => choose({ find: event.target.value, event: null })} />
        <kbd aria-hidden="true">/</kbd></label>
      <label class="choice"><span>Scope</span>
        <select value=${scope} onChange=${(event) => choose({ scope: event.target.value, event: null })}>
          <option value="">any</option>
          ${SCOPES.map((one) => html`<option value=${one}>${one}</option>`)}
        </select></label>
      <span class="count" role="status">${integer(list.length)} of ${integer(events.list.length)}</span>
    </form>
    ${at >= 0 && html`<${Whole} entry=${list[at]} />`}
    <${Rows} class="eventrows" role="listbox" aria-label="Events" tabindex="0" aria-activedescendant=${at >= 0 ? `event-${chosen}` : null}
      count=${list.length} height=${ROW} reveal=${at >= 0 ? at : null} top=${STICKY}
      row=${(index) => html`<${Line} key=${list[index].offset} entry=${list[index]} isSelected=${index === at} place=${index + 1} count=${list.length} />`} />
  </div>`;
}

function Line({ entry, isSelected, place, count }) {
  const { offset, event } = entry;
  const { performance = {} } = event;
  const facts = [
    performance.duration_ms !== undefined && duration(performance.duration_ms),
    performance.cost_usd !== undefined && dollars(performance.cost_usd),
    noteOf(event),
    event.message ?? event.data?.chunk ?? event.data?.current_step ?? (event.scope === "llm_request" && event.type === "started" && event.model),
  ].filter(Boolean);
  return html`<div id=${`event-${offset}`} role="option" aria-selected=${isSelected} aria-posinset=${place} aria-setsize=${count}
      class=${`eventrow ${event.type} ${isSelected ? "selected" : ""}`}
      onClick=${() => choose({ event: isSelected ? null : String(offset), span: null })}>
    <span class="when" title=${event.timestamp}>${clock(event.timestamp)}</span>
    <${KindMark} scope=${event.scope} />
    <span class="name">${event.name}</span>
    <span class="of" title=${event.component_id}>${event.data?.step_name ?? event.component_id}</span>
    <span class="facts-line">${facts.join(" · ")}</span>
  </div>`;
}

/** The event that was chosen, whole. */
function Whole({ entry }) {
  const { event } = entry;
  return html`<section class="whole" aria-label=${`Event ${event.name}`}>
    <header><b>${event.name}</b>
      ${event.span_id && html`<button type="button" class="quiet" onClick=${() => choose({ part: "timeline", span: event.span_id, event: null })}>Show its work</button>`}
      <button type="button" class="quiet" onClick=${() => choose({ event: null })}>Close</button></header>
    <${LongText} text=${JSON.stringify(event, null, 2)} label="the event" class="code" />
  </section>`;
}

function filter(list, scope, text) {
  if (!scope && !text) return list;
  const wanted = text.toLowerCase();
  return list.filter(({ event }) => (!scope || event.scope === scope) && (!wanted || JSON.stringify(event).toLowerCase().includes(wanted)));
}
