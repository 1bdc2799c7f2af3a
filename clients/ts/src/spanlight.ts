import type {
  Accepted,
  Budgets,
  EventPage,
  Ledger,
  LedgerBy,
  Metrics,
  NewEvent,
  RunLedger,
  RunPage,
  RunStatus,
  RunTree,
  Verdict,
} from './answers.js'
import { Endpoint, type EndpointOptions } from './endpoint.js'
import type { Filter } from './event.js'
import { EventStream, type StreamOptions } from './stream.js'

/** Which runs are wanted. */
export interface RunFilter {
  status?: RunStatus | readonly RunStatus[]
  agent?: string | readonly string[]
  feature?: string | readonly string[]
  task?: string | readonly string[]
  conversation?: string | readonly string[]
  user?: string | readonly string[]
  /** Of their beginning: RFC 3339, or an age such as `24h`. */
  since?: string
  until?: string
  /** In their name, id and agents. */
  q?: string
}

/** What is to be spent, for a verdict. */
export interface Spending {
  /** US dollars that the next step will cost. */
  est_cost?: number
  feature?: string
  agent?: string
  model?: string
  provider?: string
  tool?: string
  user?: string
  tag?: string | readonly string[]
  /** The id of a run. */
  run?: string
}

/** A collector: its runs, their cost, and its events. */
export class Spanlight {
  readonly #endpoint: Endpoint

  /** `http://127.0.0.1:3010`, or a path on the origin of the page. */
  constructor(url: string | URL = 'http://127.0.0.1:3010', options: EndpointOptions = {}) {
    this.#endpoint = new Endpoint(url, options)
  }

  /** Events as they happen. */
  stream(options: StreamOptions = {}): EventStream {
    return new EventStream(this.#endpoint, options)
  }

  /** Runs, the latest first. */
  runs(filter: RunFilter & { limit?: number; cursor?: string } = {}): Promise<RunPage> {
    return this.#endpoint.json('api/v1/runs', filter)
  }

  /** One run as a tree. */
  run(id: string): Promise<RunTree> {
    return this.#endpoint.json(`api/v1/runs/${encodeURIComponent(id)}`)
  }

  /** How the cost of a run was made, call by call. */
  runLedger(id: string): Promise<RunLedger> {
    return this.#endpoint.json(`api/v1/runs/${encodeURIComponent(id)}/ledger`)
  }

  /** The events of a run, oldest first, as far as they are in memory. */
  runEvents(id: string, filter: Filter & { from?: number; limit?: number } = {}): Promise<EventPage> {
    return this.#endpoint.json(`api/v1/runs/${encodeURIComponent(id)}/events`, filter)
  }

  /** Events, oldest first, from an offset, or from the oldest in memory. */
  events(filter: Filter & { from?: number; limit?: number } = {}): Promise<EventPage> {
    return this.#endpoint.json('api/v1/events', filter)
  }

  /** Tokens and cost. */
  ledger(query: { by?: LedgerBy; window?: string; explain?: boolean } = {}): Promise<Ledger> {
    return this.#endpoint.json('api/v1/ledger', query)
  }

  /** The summary of a window. */
  metrics(query: { window?: string; by?: 'agent' | 'feature' | 'model' | 'tool' } = {}): Promise<Metrics> {
    return this.#endpoint.json('api/v1/metrics', query)
  }

  /** Budgets, and how they stand. */
  budgets(): Promise<Budgets> {
    return this.#endpoint.json('api/v1/budgets')
  }

  /** Whether there is money left. */
  verdict(budget: string, spending: Spending = {}): Promise<Verdict> {
    return this.#endpoint.json(`api/v1/budgets/${encodeURIComponent(budget)}/verdict`, spending)
  }

  /** Sends events. Some may be taken and others not; if none is, that is an error. */
  send(events: NewEvent | readonly NewEvent[]): Promise<Accepted> {
    return this.#endpoint.json('v1/events', {}, events)
  }
}

/** Events as they happen, from a collector at this URL. */
export function connect(url: string | URL, options: StreamOptions & EndpointOptions = {}): EventStream {
  return new Spanlight(url, options).stream(options)
}
