import type { Filter, SpanlightEvent } from './event.js'
import type { Spanlight } from './spanlight.js'
import type { EventStream, State, StreamGap } from './stream.js'

/** What a component asks for. */
export interface Question {
  filter: Filter
  execution?: string
  replay: number
  limit: number
}

/** What there is at one moment. It never changes; when there is more, there is another. */
export interface Snapshot {
  /** In order, the oldest first. */
  events: readonly SpanlightEvent[]
  /** How many gave way to later ones. */
  dropped: number
  isConnected: boolean
  state: State
  /** What cannot be had any more, the last of it. */
  gap: StreamGap | undefined
  /** Why nothing more comes. */
  error: Error | undefined
}

/** Events that come within so many milliseconds are drawn at once. */
const FRAME = 16
/** How long a connection stays that nobody wants, because whoever leaves often comes back at once. */
const LINGER = 250

/** The streams that the components of a page ask for, each once. */
export class Pool {
  static readonly NOTHING: Snapshot = Object.freeze({
    events: Object.freeze([]) as readonly SpanlightEvent[],
    dropped: 0,
    isConnected: false,
    state: 'connecting',
    gap: undefined,
    error: undefined,
  })
  readonly client: Spanlight
  readonly #feeds = new Map<string, Feed>()

  constructor(client: Spanlight) {
    this.client = client
  }

  subscribe(key: string | undefined, changed: () => void): () => void {
    if (key === undefined) return () => {}
    const feed = this.#feeds.get(key) ?? new Feed(JSON.parse(key) as Question)
    this.#feeds.set(key, feed)
    feed.listeners.add(changed)
    feed.start(this.client)
    return () => {
      feed.listeners.delete(changed)
      setTimeout(() => {
        if (feed.listeners.size > 0 || this.#feeds.get(key) !== feed) return
        feed.stop()
        this.#feeds.delete(key)
      }, LINGER)
    }
  }

  snapshot(key: string | undefined): Snapshot {
    return (key !== undefined && this.#feeds.get(key)?.snapshot) || Pool.NOTHING
  }
}

/** One stream and what came of it. */
class Feed {
  readonly listeners = new Set<() => void>()
  snapshot: Snapshot = Pool.NOTHING
  readonly #question: Question
  #stream: EventStream | undefined
  #fresh: SpanlightEvent[] = []
  #gap: StreamGap | undefined
  #frame: ReturnType<typeof setTimeout> | undefined

  constructor(question: Question) {
    this.#question = question
  }

  start(client: Spanlight): void {
    if (this.#stream) return
    const { filter, execution, replay } = this.#question
    this.#stream = client.stream({
      filter,
      replay,
      ...(execution === undefined ? {} : { executions: [execution] }),
      onEvent: (event) => {
        this.#fresh.push(event)
        this.#soon()
      },
      onGap: (gap) => {
        this.#gap = gap
        this.#soon()
      },
      onState: () => this.#soon(),
    })
  }

  stop(): void {
    this.#stream?.close()
    clearTimeout(this.#frame)
  }

  #soon(): void {
    this.#frame ??= setTimeout(() => this.#draw(), FRAME)
  }

  #draw(): void {
    this.#frame = undefined
    const { events, dropped } = this.snapshot
    const all = this.#fresh.length > 0 ? [...events, ...this.#fresh] : events
    const surplus = Math.max(0, all.length - this.#question.limit)
    const state = this.#stream?.state ?? 'closed'
    this.#fresh = []
    this.snapshot = {
      events: surplus > 0 ? all.slice(surplus) : all,
      dropped: dropped + surplus,
      isConnected: state === 'open',
      state,
      gap: this.#gap,
      error: this.#stream?.error,
    }
    for (const changed of this.listeners) changed()
  }
}
