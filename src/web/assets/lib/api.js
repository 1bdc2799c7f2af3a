// The collector's HTTP API, and what it answers.
import { noteServerTime } from "./clock.js";
import { denied, token } from "./token.js";

/**
 * Tokens, calls and cost. What nobody reported is absent.
 * @typedef {{llm_calls?: number, llm_failed?: number, input_tokens?: number, output_tokens?: number,
 *   cache_read_tokens?: number, cache_write_tokens?: number, reasoning_tokens?: number, cost_usd?: number,
 *   unpriced_calls?: number, embedding_calls?: number, tool_calls?: number, tool_failed?: number,
 *   agent_runs?: number, agent_failed?: number}} Figures
 */

/** @typedef {"running" | "completed" | "failed" | "canceled" | "lost"} Status */

/**
 * A run in a list; `columns` if it was asked for by its id, `open` if it was asked for as what goes on, and
 * `stored` if it has left memory.
 * @typedef {{id: string, name: string, status: Status, started_at: string, ended_at?: string, duration_ms?: number,
 *   service?: string, dialect?: string, conversation_id?: string, session_id?: string, user_id?: string,
 *   feature?: string, task_id?: string, agents: string[], error?: string, provisional: boolean,
 *   missing_parents?: number, stored?: boolean, figures: Figures, columns?: Columns, open?: OpenWork[],
 *   last_seen_at?: string}} Run
 */

/**
 * The work of a run, the outer before the inner: columns with a value for each piece of work, or null. Words are places
 * in `words`; `inferred` and `uncounted` are the places of the work of which that is true. See /api/openapi.json.
 * @typedef {{words: string[], span_id: string[], inferred?: number[], uncounted?: number[]}
 *   & Record<string, (number | null)[] | undefined>} Columns
 */

/**
 * A piece of work in a run's tree. Times are milliseconds since 1970.
 * @typedef {{span_id: string, scope: string, operation: string, name?: string, status: Status, started_at: number,
 *   duration_ms?: number, inferred: boolean, agent?: string, model?: string, input_tokens?: number,
 *   output_tokens?: number, cache_read_tokens?: number, cache_write_tokens?: number, reasoning_tokens?: number,
 *   counts: boolean, cost_usd?: number, error?: string}} Work
 */

/**
 * A piece of work that has begun and not ended.
 * @typedef {{span_id: string, scope: string, operation: string, name?: string, agent?: string,
 *   agent_span_id?: string, model?: string, started_at: string}} OpenWork
 */

/**
 * A domain event.
 * @typedef {{event_id: string, name: string, scope: string, type: string, status: string, component_id: string,
 *   timestamp: string, observed_at: string, message?: string, trace_id?: string, span_id?: string,
 *   parent_span_id?: string, execution_id?: string, agent?: string, model?: string, tool?: string,
 *   performance?: Record<string, any>, data?: Record<string, any>, source?: Record<string, any>}} DomainEvent
 */

/** An answer that is none: what the collector said, or why there is no answer. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 if nobody answered
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Asks the API.
 * @param {string} path with its query
 * @param {RequestInit} [init]
 * @returns {Promise<any>}
 */
export async function api(path, init) {
  let response;
  try {
    const credentials = token.get() ? { authorization: `Bearer ${token.get()}` } : {};
    response = await fetch(path, { headers: { accept: "application/json", ...credentials }, ...init });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The collector does not answer.");
  }
  const date = response.headers.get("date");
  if (date) noteServerTime(Date.parse(date));
  const text = await response.text();
  const body = parse(text);
  if (response.status === 401) denied.set(body?.error ?? "This needs a token.");
  if (!response.ok) throw new ApiError(response.status, body?.error ?? (text.trim() || response.statusText));
  return body;
}

/**
 * A path with those parameters that have a value; a list is one parameter for each of its values.
 * @param {string} path
 * @param {Record<string, string | number | string[] | null | undefined>} parameters
 */
export function withQuery(path, parameters) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (Array.isArray(value)) value.forEach((one) => query.append(key, one));
    else if (value !== null && value !== undefined && value !== "") query.set(key, String(value));
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/**
 * All events of a run that are in memory, page by page.
 * @param {string} run
 * @param {number | null} from an offset; null is the oldest in memory, beyond which a journal is long to look through
 * @param {AbortSignal} signal
 * @returns {Promise<{events: {offset: number, event: DomainEvent}[], next: number}>}
 */
export async function eventsOfRun(run, from, signal) {
  const found = { events: [], next: from };
  for (;;) {
    const path = withQuery(`/api/v1/runs/${encodeURIComponent(run)}/events`, { from: found.next, limit: 1000 });
    const page = await api(path, { signal });
    found.events.push(...page.events);
    found.next = page.next;
    if (page.events.length < 1000) return found;
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
