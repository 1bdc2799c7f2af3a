// The events of a run: those in memory, and then as they happen.
import { useEffect, useState } from "../lib/html.js";
import { eventsOfRun } from "../lib/api.js";
import { onEvents } from "../lib/live.js";

/**
 * @typedef {{list: {offset: number, event: import("../lib/api.js").DomainEvent}[], loaded: boolean,
 *   error: Error | null}} RunEvents
 */

/** At most so often it is asked for more. */
const GAP = 400;

/**
 * @param {string} id
 * @param {boolean} isWanted they are many, so they are only asked for once something shows them
 * @returns {RunEvents}
 */
export function useEvents(id, isWanted) {
  const [events, setEvents] = useState(/** @type {RunEvents} */ ({ list: [], loaded: false, error: null }));
  const [isAsked, setAsked] = useState(isWanted);
  if (isWanted && !isAsked) setAsked(true);
  useEffect(() => {
    if (!isAsked) return undefined;
    const abort = new AbortController();
    let next = null;
    let timer = 0;
    let isBusy = false;
    let isWanted = false;
    const load = async () => {
      timer = 0;
      isBusy = true;
      isWanted = false;
      try {
        const found = await eventsOfRun(id, next, abort.signal);
        next = found.next;
        setEvents((before) => ({
          list: found.events.length ? [...before.list, ...found.events] : before.list,
          loaded: true,
          error: null,
        }));
      } catch (error) {
        if (!abort.signal.aborted) setEvents((before) => ({ ...before, loaded: true, error }));
      }
      isBusy = false;
      if (isWanted) soon();
    };
    const soon = () => {
      isWanted = true;
      if (!isBusy && !abort.signal.aborted) timer ||= window.setTimeout(load, GAP);
    };
    load();
    const deaf = onEvents((heard) => {
      if (heard.length === 0 || heard.some((event) => event.execution_id === id || event.trace_id === id)) soon();
    });
    return () => {
      deaf();
      window.clearTimeout(timer);
      abort.abort();
    };
  }, [id, isAsked]);
  return events;
}
