// A run's tree as rows, and what is asked of it. Nothing here touches the page.

/**
 * A piece of work as a row. `end` is the place behind the last row below it.
 * @typedef {{node: import("./api.js").TreeNode, depth: number, parent: number, end: number, index: number,
 *   place: number, siblings: number, start: number, stop: number | null}} Row
 */

/**
 * All work of a run in the order of its tree.
 * @param {import("./api.js").TreeNode[]} roots
 * @returns {Row[]}
 */
export function rowsOf(roots) {
  /** @type {Row[]} */
  const rows = [];
  // Trees may be deeper than a browser's stack.
  const waiting = [{ nodes: roots, next: 0, parent: -1 }];
  while (waiting.length > 0) {
    const level = waiting[waiting.length - 1];
    if (level.next === level.nodes.length) {
      waiting.pop();
      if (level.parent >= 0) rows[level.parent].end = rows.length;
      continue;
    }
    const node = level.nodes[level.next];
    level.next += 1;
    const index = rows.length;
    const stop = node.ended_at === undefined ? null : Date.parse(node.ended_at);
    const start = node.duration_ms === undefined || stop === null ? Date.parse(node.started_at) : stop - node.duration_ms;
    const [place, siblings] = [level.next, level.nodes.length];
    rows.push({ node, depth: waiting.length - 1, parent: level.parent, end: index + 1, index, place, siblings, start, stop });
    if (node.children?.length) waiting.push({ nodes: node.children, next: 0, parent: index });
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
 * From when to when the work goes; what goes on goes on until `now`.
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
  return rows.length === 0 ? { from: 0, to: 1 } : { from, to: Math.max(to, from + 0.001) };
}

/**
 * What a piece of work is called.
 * @param {import("./api.js").TreeNode} node
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
 * @param {number} length in milliseconds
 * @param {number} most
 * @returns {number[]}
 */
export function ticks(length, most) {
  const rough = length / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((step) => step >= rough) ?? rough;
  const found = [];
  for (let at = 0; at <= length * (1 + 1e-9); at += step) found.push(at);
  return found;
}
