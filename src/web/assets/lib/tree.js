// A run's tree as rows, and what is asked of it. Nothing here touches the page.

/**
 * A piece of work as a row. `end` is the place behind the last row below it.
 * @typedef {{node: import("./api.js").Work, depth: number, parent: number, end: number, index: number,
 *   place: number, siblings: number, start: number, stop: number | null}} Row
 */

/**
 * All work of a run in the order of its tree, of the columns that the API sends.
 * @param {import("./api.js").Run} run
 * @returns {Row[]}
 */
export function rowsOf({ columns, started_at: began }) {
  if (!columns) return [];
  const { words, span_id: ids } = columns;
  const text = (column, index) => words[column?.[index] ?? -1];
  const number = (column, index) => column?.[index] ?? undefined;
  const [inferred, uncounted] = [new Set(columns.inferred), new Set(columns.uncounted)];
  const origin = Date.parse(began);
  /** @type {Row[]} */
  const rows = [];
  const children = [0];
  for (let index = 0; index < ids.length; index += 1) {
    const parent = columns.parent?.[index] ?? -1;
    const start = origin + columns.began_ms[index];
    const stop = number(columns.ended_ms, index) === undefined ? null : origin + columns.ended_ms[index];
    const node = {
      span_id: ids[index],
      scope: text(columns.scope, index),
      operation: text(columns.operation, index),
      name: text(columns.name, index),
      status: text(columns.status, index),
      started_at: start,
      // Not the difference of two times since 1970, which have no room for microseconds.
      duration_ms: stop === null ? undefined : columns.ended_ms[index] - columns.began_ms[index],
      agent: text(columns.agent, index),
      model: text(columns.model, index),
      error: text(columns.error, index),
      input_tokens: number(columns.input_tokens, index),
      output_tokens: number(columns.output_tokens, index),
      cache_read_tokens: number(columns.cache_read_tokens, index),
      cache_write_tokens: number(columns.cache_write_tokens, index),
      reasoning_tokens: number(columns.reasoning_tokens, index),
      cost_usd: number(columns.cost_usd, index),
      inferred: inferred.has(index),
      counts: !uncounted.has(index),
    };
    const depth = parent < 0 ? 0 : rows[parent].depth + 1;
    children.push(0);
    children[parent + 1] += 1;
    rows.push({ node, depth, parent, end: index + 1, index, place: children[parent + 1], siblings: 0, start, stop });
  }
  for (let index = rows.length - 1; index >= 0; index -= 1) {
    const row = rows[index];
    row.siblings = children[row.parent + 1];
    if (row.parent >= 0) rows[row.parent].end = Math.max(rows[row.parent].end, row.end);
  }
  return rows;
}

/**
 * The rows that can be seen when some are folded.
 * @param {Row[]} rows
 * @param {Set<string>} folded ids of spans
 * @returns {Row[]}
 */
export function unfolded(rows, folded) {
  if (folded.size === 0) return rows;
  const seen = [];
  for (let at = 0; at < rows.length; ) {
    const row = rows[at];
    seen.push(row);
    at = folded.has(row.node.span_id) ? row.end : at + 1;
  }
  return seen;
}

/**
 * From when to when the work goes; what goes on goes on until `now`. Of work that took no time, it is a millisecond.
 * @param {Row[]} rows
 * @param {number} now
 */
export function extent(rows, now) {
  let from = Infinity;
  let to = -Infinity;
  for (const { start, stop } of rows) {
    from = Math.min(from, start);
    to = Math.max(to, stop ?? now);
  }
  return rows.length === 0 ? { from: 0, to: 1 } : { from, to: to > from ? to : from + 1 };
}

/**
 * What a piece of work is called.
 * @param {import("./api.js").Work} node
 */
export function nameOf(node) {
  return node.name ?? node.model ?? node.operation ?? "";
}

/**
 * Whether anything below a row went wrong.
 * @param {Row[]} rows
 * @returns {boolean[]} by row
 */
export function troubleBelow(rows) {
  const found = rows.map(() => false);
  for (let at = rows.length - 1; at >= 0; at -= 1) {
    const { node, parent } = rows[at];
    const isBad = found[at] || node.status === "failed" || node.status === "lost";
    if (isBad && parent >= 0) found[parent] = true;
  }
  return found;
}

/**
 * Times on an axis: round ones, no more than fit.
 * @param {number} from in milliseconds
 * @param {number} to
 * @param {number} most
 * @returns {{step: number, times: number[]}}
 */
export function ticks(from, to, most) {
  const rough = (to - from) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((step) => step >= rough) ?? rough;
  const times = [];
  for (let at = Math.ceil(from / step - 1e-9); at * step <= to * (1 + 1e-9); at += 1) times.push(at * step);
  return { step, times };
}
