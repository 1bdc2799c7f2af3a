// Values that several parts of the page look at, and a hook that looks at one.
import { useEffect, useState } from "./html.js";

/**
 * A value with listeners.
 * @template T
 * @typedef {{get: () => T, set: (value: T) => void, listen: (heard: (value: T) => void) => () => void}} Store
 */

/**
 * @template T
 * @param {T} value
 * @returns {Store<T>}
 */
export function store(value) {
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const heard of [...listeners]) heard(value);
    },
    listen(heard) {
      listeners.add(heard);
      return () => listeners.delete(heard);
    },
  };
}

/**
 * The value of a store; the component is drawn again when it changes.
 * @template T
 * @param {Store<T>} of
 * @returns {T}
 */
export function useStore(of) {
  const [value, setValue] = useState(of.get());
  useEffect(() => {
    // It may have changed between drawing and listening.
    setValue(() => of.get());
    return of.listen((next) => setValue(() => next));
  }, [of]);
  return value;
}
