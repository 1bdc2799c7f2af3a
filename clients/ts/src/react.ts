import {
  createContext,
  createElement,
  type ReactNode,
  useCallback,
  useContext,
  useState,
  useSyncExternalStore,
} from 'react'

import type { EndpointOptions } from './endpoint.js'
import type { Filter, SpanlightEvent } from './event.js'
import { Pool, type Question, type Snapshot } from './pool.js'
import { Spanlight } from './spanlight.js'

export type { Snapshot } from './pool.js'

const Collector = createContext<Pool | undefined>(undefined)

/** What a provider needs: the URL of a collector, or a client. A new object makes new connections. */
export interface SpanlightProviderProps extends EndpointOptions {
  url?: string
  client?: Spanlight
  children?: ReactNode
}

/** Tells the hooks below where the collector is. Components that ask for the same share a connection. */
export function SpanlightProvider({ url, client, children, ...options }: SpanlightProviderProps) {
  // A function that gets tokens may be another one at every rendering; the first is kept.
  const { token } = options
  const key = [url, client, typeof token === 'function' ? 'function' : token]
  const [made, remake] = useState(() => ({ key, pool: new Pool(client ?? new Spanlight(url, options)) }))
  let { pool } = made
  if (key.some((each, at) => each !== made.key[at])) {
    // At once, so that nothing is drawn of the collector before.
    pool = new Pool(client ?? new Spanlight(url, options))
    remake({ key, pool })
  }
  return createElement(Collector.Provider, { value: pool }, children)
}

/** What hooks may be asked. */
export interface UseEventsOptions {
  /** How many of the last events come first; at most 1000. */
  replay?: number
  /** How many events are kept; the oldest give way. 1000 by default. */
  limit?: number
}

/** The events that fit, the oldest first, as they happen. */
export function useEvents(filter: Filter = {}, { replay = 0, limit = 1000 }: UseEventsOptions = {}): Snapshot {
  return useQuestion({ filter, replay, limit })
}

/** The events of a run: those that are in memory, and then each as it happens. Without an id there are none. */
export function useExecution(
  executionId: string | undefined,
  { replay = 1000, limit = 10_000 }: UseEventsOptions = {},
): Snapshot {
  return useQuestion(executionId === undefined ? undefined : { filter: {}, execution: executionId, replay, limit })
}

/** The last event that fits. */
export function useLatestEvent(filter: Filter = {}): SpanlightEvent | undefined {
  return useEvents(filter, { replay: 1, limit: 1 }).events[0]
}

/** The client of the provider, for runs, ledger and metrics. */
export function useSpanlight(): Spanlight {
  return usePool().client
}

function usePool(): Pool {
  const pool = useContext(Collector)
  if (!pool) throw new Error('there is no <SpanlightProvider> around this component')
  return pool
}

function useQuestion(question: Question | undefined): Snapshot {
  const pool = usePool()
  // Filters are written where they are used, so they are new objects at every rendering, and equal.
  const key = question === undefined ? undefined : JSON.stringify(question)
  const subscribe = useCallback((changed: () => void) => pool.subscribe(key, changed), [pool, key])
  const snapshot = useCallback(() => pool.snapshot(key), [pool, key])
  return useSyncExternalStore(subscribe, snapshot, nothing)
}

function nothing(): Snapshot {
  return Pool.NOTHING
}
