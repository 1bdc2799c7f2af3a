// What the API says, kept current: asked again when events tell that it may have changed.
import { useCallback, useEffect, useRef, useState } from "./html.js";
import { onEvents, paused } from "./live.js";

/**
 * @template T
 * @typedef {{data: T | null, error: Error | null, loading: boolean, refresh: () => void}} Answer
 */

/**
 * Asks with `ask`, at once and whenever `key` changes.
 * @template T
 * @param {string | null} key what is asked for; nothing if there is none
 * @param {(signal: AbortSignal) => Promise<T>} ask
 * @param {{every?: number, follow?: ((event: import("./api.js").DomainEvent) => boolean) | null, gap?: number}} [how]
 *   `follow`: which events make it ask again, with at least `gap` milliseconds between; `every`: how often it asks
 *   again in any case
 * @returns {Answer<T>}
 */
export function useQuery(key, ask, { every = 0, follow = null, gap = 250 } = {}) {
  const [answer, setAnswer] = useState({ key: null, data: null, error: null });
  const asking = useRef(null);
  const latest = useRef(null);
  latest.current = { ask, follow };

  const refresh = useCallback(() => asking.current?.soon(), []);

  useEffect(() => {
    if (key === null) return undefined;
    const it = asker((signal) => latest.current.ask(signal), gap, (outcome) => {
      setAnswer((before) => {
        const data = outcome.data ?? (before.key === key ? before.data : null);
        return { key, data, error: outcome.error };
      });
    });
    asking.current = it;
    it.soon();
    // A page that nobody sees asks for nothing; it catches up when somebody does.
    let isBehind = false;
    const again = () => {
      if (document.hidden) isBehind = true;
      else it.soon();
    };
    const catchUp = () => {
      if (!document.hidden && isBehind && !paused.get()) it.soon();
      isBehind &&= document.hidden;
    };
    const timer = every > 0 ? window.setInterval(() => !paused.get() && again(), every) : 0;
    const deaf = onEvents((events) => {
      const { follow } = latest.current;
      if (follow && (events.length === 0 || events.some(follow))) again();
    });
    document.addEventListener("visibilitychange", catchUp);
    return () => {
      window.clearInterval(timer);
      document.removeEventListener("visibilitychange", catchUp);
      deaf();
      it.stop();
    };
  }, [key, every, gap]);

  const isCurrent = answer.key === key;
  return {
    data: isCurrent ? answer.data : null,
    error: isCurrent ? answer.error : null,
    loading: key !== null && !isCurrent,
    refresh,
  };
}

/**
 * Asks one thing at a time, and no more often than every `gap` milliseconds, or four times what an answer takes.
 */
function asker(ask, gap, tell) {
  const abort = new AbortController();
  let began = -Infinity;
  let rest = 0;
  let isBusy = false;
  let isWanted = false;
  let timer = 0;

  async function run() {
    timer = 0;
    isBusy = true;
    isWanted = false;
    began = performance.now();
    let outcome;
    try {
      outcome = { data: await ask(abort.signal), error: null };
    } catch (error) {
      outcome = { data: null, error };
    }
    if (abort.signal.aborted) return;
    tell(outcome);
    isBusy = false;
    rest = Math.max(gap, 4 * (performance.now() - began));
    if (isWanted) soon();
  }

  function soon() {
    isWanted = true;
    if (isBusy || timer || abort.signal.aborted) return;
    const wait = began + rest - performance.now();
    if (wait <= 0) run();
    else timer = window.setTimeout(run, wait);
  }

  return {
    soon,
    stop() {
      window.clearTimeout(timer);
      abort.abort();
    },
  };
}
