// Runs, the latest first: as many as somebody has looked for, and what is not over kept current.
import { useCallback, useMemo, useRef, useState } from "./html.js";
import { api, withQuery } from "./api.js";
import { useQuery } from "./query.js";

/** @typedef {import("./api.js").Run} Run */

/**
 * What is known. `next`: where earlier ones begin, null if there are none; `pages`: the earlier ones by where each began.
 * @typedef {{key: string, runs: Map<string, Run>, next: string | null | undefined, pages: Map<string, string[]>,
 *   isAsking: boolean, asked: number}} Known
 */

/** So many are asked for again and again, and so many at a time of the earlier ones. */
const NEWEST = 100;
const EARLIER = 500;
/** Milliseconds until it is tried again what went wrong. */
const RETRY = 2000;
const anyEvent = () => true;
/** What was said of a run, word for word. */
const said = new WeakMap();

/**
 * @param {string} key which runs
 * @param {Record<string, any>} chosen the same as parameters of the API
 * @returns {{runs: Run[], isLoaded: boolean, isWhole: boolean, error: Error | null, refresh: () => void,
 *   more: () => void, end: string}} `isWhole`: there are no earlier ones; `end` is another whenever `more` would ask anew
 */
export function useRuns(key, chosen) {
  const known = useRef(nothing(""));
  if (known.current.key !== key) known.current = nothing(key);
  const here = known.current;
  const [, redraw] = useState({});
  const ask = async (cursor, signal) => {
    const page = await api(withQuery("/api/v1/runs", { ...chosen, limit: cursor === "" ? NEWEST : EARLIER, cursor }), { signal });
    if (cursor === "") takeNewest(here, page);
    else takeEarlier(here, page, cursor);
    return page;
  };
  const { data, error, refresh } = useQuery(key, (signal) => ask("", signal), { follow: anyEvent, every: 5000, gap: 500 });
  // Runs that are not over may have got far down in the list.
  const askUnfinished = (signal) => Promise.all(unfinished(here).map((cursor) => ask(cursor, signal)));
  const { data: earlier } = useQuery(`${key} earlier`, askUnfinished, { every: 5000 });
  const more = useCallback(async () => {
    if (here.isAsking || !here.next) return;
    here.isAsking = true;
    await ask(here.next).catch(() => new Promise((done) => window.setTimeout(done, RETRY)));
    here.isAsking = false;
    here.asked += 1;
    redraw({});
  }, [here]);
  const runs = useMemo(() => [...here.runs.values()].sort(latestFirst), [data, earlier, here.runs.size]);
  const end = `${here.next} ${here.asked}`;
  return { runs, isLoaded: data !== null, isWhole: !here.next, error, refresh, more, end };
}

/** @returns {Known} */
function nothing(key) {
  return { key, runs: new Map(), next: undefined, pages: new Map(), isAsking: false, asked: 0 };
}

function takeNewest(known, { runs, next = null }) {
  const isApart = known.runs.size > 0 && !runs.some(({ id }) => known.runs.has(id));
  const before = known.runs;
  // Those that left memory are told of no more; and between what is known and what came since, there may be others.
  if (next === null || isApart) Object.assign(known, { runs: new Map(), pages: new Map(), next });
  if (known.next === undefined) known.next = next;
  runs.forEach((run) => known.runs.set(run.id, same(before.get(run.id), run)));
}

function takeEarlier(known, { runs, next = null }, cursor) {
  known.pages.set(cursor, runs.map(({ id }) => id));
  if (known.next === cursor) known.next = next;
  runs.forEach((run) => known.runs.set(run.id, same(known.runs.get(run.id), run)));
}

/** What is told no differently stays the same object, so that its row need not be drawn again. */
function same(old, run) {
  const text = JSON.stringify(run);
  if (old && said.get(old) === text) return old;
  said.set(run, text);
  return run;
}

function unfinished({ pages, runs }) {
  const goesOn = (id) => runs.get(id)?.status === "running" || runs.get(id)?.provisional;
  return [...pages].filter(([, ids]) => ids.some(goesOn)).map(([cursor]) => cursor);
}

function latestFirst(a, b) {
  if (a.started_at !== b.started_at) return a.started_at < b.started_at ? 1 : -1;
  return a.id < b.id ? 1 : -1;
}
