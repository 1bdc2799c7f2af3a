import type { Gap, OffsetEvent, Summary, SummaryRow } from './answers.js'
import { type Backoff, type Clock, delay, systemClock } from './clock.js'
import { type Answer, Connection, type End, type Socket } from './connection.js'
import { diagnose, type Endpoint } from './endpoint.js'
import { type Filter, type SpanlightEvent, appendQuery } from './event.js'
import type { ClientMessage, Complaint, Confirmed, Established, Recent, ServerMessage, Topic } from './message.js'
import type { Place, PlaceStore } from './place.js'
import { Queue } from './queue.js'
import { Seen } from './seen.js'
import { Subscriptions, type Target, wire } from './subscriptions.js'

/** `waiting` until the next attempt, `paused` until somebody reads what has come. */
export type State = 'connecting' | 'open' | 'waiting' | 'paused' | 'closed'

/** Where an event stands. */
export interface At extends Place {
  offset: number
}

/** Something that cannot be had any more, in the offsets of an epoch. */
export interface StreamGap extends Gap {
  epoch: string
}

/** What a stream is of, and what becomes of it. */
export interface StreamOptions {
  /** Kinds of events; all, unless runs or conversations are named. */
  subscriptions?: readonly Topic[]
  /** Ids of runs. */
  executions?: readonly string[]
  /** Ids of conversations. */
  conversations?: readonly string[]
  /** Which of these events are wanted. */
  filter?: Filter
  /** Of events that say how confident an agent was, those that are at least so much, from 0 to 1. */
  performanceThreshold?: number
  /** How many of the last events come first: 100 of each run or conversation, and otherwise none. At most 1000. */
  replay?: number
  /** Goes on behind this place, or behind the one that is stored, rather than from now on. */
  place?: Place | PlaceStore
  /** How many events may wait for a reader; then the stream pauses, and goes on where it was. 10,000 by default. */
  buffer?: number
  /** How long to wait between attempts to connect: from half a second to half a minute by default. */
  backoff?: Backoff
  onEvent?(event: SpanlightEvent, at: At): void
  onGap?(gap: StreamGap): void
  onState?(state: State, why?: string): void
  /** Every 30 s, to those who subscribe to `agent_performance`. */
  onSummary?(summary: Summary, rows: SummaryRow[]): void
  clock?: Clock
  random?(): number
}

/** What was asked for over a stream and cannot be done. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly code: string

  constructor({ code, message }: Complaint) {
    super(message)
    this.code = code
  }
}

interface Waiting extends At {
  event: SpanlightEvent
  /** How far the client had come before it. */
  before: Place
}

/** Events as they happen, in order, none twice, over as many connections as it takes. */
export class EventStream implements AsyncIterable<SpanlightEvent> {
  readonly #endpoint: Endpoint
  readonly #options: StreamOptions
  readonly #clock: Clock
  readonly #subscriptions: Subscriptions
  readonly #seen = new Seen()
  readonly #queues = new Set<Queue<Waiting>>()
  #filter: Filter
  #threshold: number | undefined
  #state: State = 'connecting'
  #error: Error | undefined
  #connection: Connection | undefined
  /** How far the collector has sent. */
  #received: Place | undefined
  /** Whether events still come that nobody asked for. */
  #unasked = false
  #wake: (() => void) | undefined
  #openings: { resolve(connection: Connection): void; reject(error: Error): void }[] = []
  #saving: unknown

  /** Connects at once; `Spanlight.stream` and `connect` make one. */
  constructor(endpoint: Endpoint, options: StreamOptions = {}) {
    const threshold = options.performanceThreshold
    if (threshold !== undefined && !(threshold >= 0 && threshold <= 1)) {
      throw new RangeError('performanceThreshold is from 0 to 1')
    }
    this.#endpoint = endpoint
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#subscriptions = new Subscriptions(options)
    this.#filter = options.filter ?? {}
    this.#threshold = threshold
    this.#run().catch((error: Error) => this.#finish(error))
  }

  get state(): State {
    return this.#state
  }

  /** Why it ended, if not because it was closed. */
  get error(): Error | undefined {
    return this.#error
  }

  /** Behind the last event that was dealt with; a stream that is given it goes on from there. */
  get place(): Place | undefined {
    let place = this.#received
    for (const { first } of this.#queues) {
      if (first && (place?.offset === undefined || (first.before.offset ?? -1) < place.offset)) place = first.before
    }
    return place && { ...place }
  }

  /** One subscription more, or with a filter instead of all before, and how it was confirmed. */
  async subscribe(target: Target, { replay }: { replay?: number } = {}): Promise<Confirmed> {
    const question: ClientMessage = { type: 'subscribe', ...wire(target), ...(replay === undefined ? {} : { replay }) }
    const confirmed = (await this.#request(question)) as Confirmed
    if ('filter' in target) {
      this.#filter = target.filter
      this.#threshold = undefined
      this.#subscriptions.replace(['all_events'])
    } else {
      this.#subscriptions.add(target, replay, confirmed)
    }
    return confirmed
  }

  /** One subscription less; without a target, none. */
  async unsubscribe(target?: Exclude<Target, { filter: Filter }>): Promise<void> {
    await this.#request({ type: 'unsubscribe', ...(target ? wire(target) : {}) })
    if (target) this.#subscriptions.remove(target)
    else this.#subscriptions.replace([])
  }

  /** Narrows what is subscribed to; what is not named stays as it is. */
  async filterUpdate(
    change: { filter?: Filter; performanceThreshold?: number; subscriptions?: readonly Topic[] } = {},
  ): Promise<void> {
    const { filter, performanceThreshold, subscriptions } = change
    await this.#request({
      type: 'filter_update',
      ...(filter ? { filter } : {}),
      ...(performanceThreshold === undefined ? {} : { performance_threshold: performanceThreshold }),
      ...(subscriptions ? { subscriptions: [...subscriptions] } : {}),
    })
    this.#filter = filter ?? this.#filter
    this.#threshold = performanceThreshold ?? this.#threshold
    if (subscriptions) this.#subscriptions.replace(subscriptions)
  }

  /** The last events that fit what is subscribed to: 100, or as many as `limit`, at most 1000. */
  async getRecent({ limit, names }: { limit?: number; names?: readonly string[] } = {}): Promise<OffsetEvent[]> {
    const answer = await this.#request({
      type: 'get_recent',
      ...(limit === undefined ? {} : { limit }),
      ...(names ? { event_types: [...names] } : {}),
    })
    return (answer as Recent).events
  }

  /** Resolves once it is connected, and rejects if it never will be. */
  async opened(): Promise<void> {
    await this.#open()
  }

  /** Ends it; whoever iterates still gets what has come. */
  close(): void {
    this.#finish()
  }

  /** A reader, of what comes from its first step on. */
  async *[Symbol.asyncIterator](): AsyncGenerator<SpanlightEvent, void, undefined> {
    for await (const { event } of this.#queue()) yield event
  }

  #queue(): Queue<Waiting> {
    const queue: Queue<Waiting> = new Queue(
      () => {
        this.#store()
        if (this.#state === 'paused' && !this.#isFull(0.5)) this.#wake?.()
      },
      () => {
        this.#queues.delete(queue)
        if (this.#state === 'paused' && !this.#isFull(0.5)) this.#wake?.()
      },
    )
    if (this.#state === 'closed') queue.end(this.#error)
    else this.#queues.add(queue)
    return queue
  }

  #isFull(share: number): boolean {
    const most = (this.#options.buffer ?? 10_000) * share
    return [...this.#queues].some((queue) => queue.length >= Math.max(most, 1))
  }

  async #run(): Promise<void> {
    const { place, backoff = { first: 500, most: 30_000 }, random = Math.random } = this.#options
    this.#received = place && 'load' in place ? await place.load() : place
    if (this.#received) this.#subscriptions.replayed()
    for (let failures = 0; !this.#isClosed(); ) {
      const end = await this.#connect()
      this.#connection = undefined
      if (this.#isClosed()) return
      const fatal = await this.#fatal(end, failures)
      if (this.#isClosed()) return
      if (fatal) return this.#finish(fatal)
      failures = end.established ? 0 : failures + 1
      if (this.#isFull(1)) {
        this.#move('paused', 'nobody reads what has come')
        await new Promise<void>((wake) => (this.#wake = wake))
      } else {
        this.#move('waiting', end.reason || `the connection ended (${end.code})`)
        await this.#sleep(delay(backoff, failures, random))
      }
      if (!this.#isClosed()) this.#move('connecting')
    }
  }

  // A function, because the state changes while others are awaited.
  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  async #connect(): Promise<End> {
    try {
      const token = await this.#endpoint.token()
      if (this.#isClosed()) return { code: 1000, reason: 'nobody wants it any more', established: false }
      const socket = this.#endpoint.socket(this.#query()) as Socket
      return await new Promise((ended) => {
        const hear = (message: ServerMessage) => this.#hear(message)
        this.#connection = new Connection(socket, token, this.#clock, hear, (end) => {
          // At once: whoever was asked something must not ask this one again.
          if (this.#state === 'open') this.#move('waiting', end.reason)
          ended(end)
        })
      })
    } catch (error) {
      return { code: 1006, reason: String(error), established: false }
    }
  }

  /** What the collector is told in the URL is in force before the first event. */
  #query(): URLSearchParams {
    const query = new URLSearchParams({ envelope: 'event' })
    appendQuery(query, { ...this.#filter, ...(this.#received && { epoch: this.#received.epoch }) })
    if (this.#received?.offset !== undefined) query.set('resume_from', String(this.#received.offset))
    const topics = this.#subscriptions.topics()
    if (topics.length > 0) query.set('subscription', topics.join(','))
    this.#unasked = topics.length === 0
    return query
  }

  /** Why there is no point in trying again, if there is none. */
  async #fatal(end: End, failures: number): Promise<Error | undefined> {
    const refused = end.complaint?.code === 'unauthorized' || (end.code === 1008 && !end.established)
    if (refused) {
      const why = end.complaint?.message ?? end.reason
      return this.#endpoint.renewsToken ? undefined : new Error(`the collector believes no such token: ${why}`)
    }
    // A browser does not say why a connection was refused.
    return end.established || failures > 0 ? undefined : diagnose(this.#endpoint, this.#filter)
  }

  #hear(message: ServerMessage): void {
    switch (message.type) {
      case 'connection_established':
        return this.#begin(message)
      case 'event':
      case 'stream_event':
        return this.#take(message.offset, message.event)
      case 'gap':
        return this.#skip(message)
      case 'performance_summary':
        return this.#tell(() => this.#options.onSummary?.(message.summary, message.rows))
    }
  }

  #begin({ epoch, offset }: Established): void {
    if (this.#received?.epoch !== epoch) {
      this.#seen.clear()
      this.#received = offset === undefined ? { epoch } : { epoch, offset }
      this.#store()
    }
    this.#setUp()
    this.#move('open')
    const connection = this.#connection
    if (connection) for (const { resolve } of this.#openings.splice(0)) resolve(connection)
  }

  /** Asks for what a URL cannot say. What events still come of others meanwhile are passed over. */
  #setUp(): void {
    const ask = (question: ClientMessage, answered: (answer: Answer) => void = () => {}) => {
      this.#connection?.ask(question, (answer) => {
        if (answer?.type === 'error') this.#finish(new RequestError(answer))
        else if (answer) answered(answer)
      })
    }
    for (const target of this.#subscriptions.resumed()) ask({ type: 'subscribe', ...wire(target), replay: 0 })
    if (this.#unasked) {
      ask({ type: 'unsubscribe', subscription: 'all_events' }, () => (this.#unasked = false))
    }
    for (const [target, replay] of this.#subscriptions.pending()) {
      ask({ type: 'subscribe', ...wire(target), replay }, (answer) => {
        this.#subscriptions.confirm(target, answer as Confirmed)
      })
    }
    if (this.#threshold !== undefined) ask({ type: 'filter_update', performance_threshold: this.#threshold })
  }

  #take(offset: number, event: SpanlightEvent): void {
    if (!this.#received) return
    const before = this.#received
    this.#received = { epoch: before.epoch, offset }
    if (this.#unasked && !this.#subscriptions.resumes(event)) return
    this.#subscriptions.begun()
    const confidence = event.performance?.confidence ?? 1
    if (!this.#seen.add(offset) || confidence < (this.#threshold ?? 0)) return
    const at = { epoch: before.epoch, offset }
    for (const queue of this.#queues) queue.push({ ...at, event, before })
    this.#tell(() => this.#options.onEvent?.(event, at))
    this.#store()
    if (this.#isFull(1)) this.#connection?.close(4001, 'nobody reads what has come')
  }

  #skip({ from, to, reason }: Gap): void {
    if (!this.#received) return
    const { epoch } = this.#received
    if (to > 0) this.#received = { epoch, offset: to - 1 }
    this.#tell(() => this.#options.onGap?.({ epoch, from, to, reason }))
  }

  /** A listener that throws is told so like any other, and keeps nobody from the next event. */
  #tell(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }

  #open(): Promise<Connection> {
    if (this.#state === 'open' && this.#connection) return Promise.resolve(this.#connection)
    if (this.#state === 'closed') return Promise.reject(this.#error ?? new Error('the stream is closed'))
    return new Promise((resolve, reject) => this.#openings.push({ resolve, reject }))
  }

  /** Asks again over the next connection where one ends before it answers. */
  async #request(question: ClientMessage): Promise<Answer> {
    for (;;) {
      const connection = await this.#open()
      const answer = await new Promise<Answer | undefined>((answered) => connection.ask(question, answered))
      if (answer?.type === 'error') throw new RequestError(answer)
      if (answer) return answer
    }
  }

  #move(state: State, why?: string): void {
    if (this.#state === state) return
    this.#state = state
    this.#tell(() => this.#options.onState?.(state, why))
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((wake) => {
      const timer = this.#clock.setTimeout(wake, milliseconds)
      this.#wake = () => {
        this.#clock.clearTimeout(timer)
        wake()
      }
    })
  }

  /** Stores the place, once a second at most. */
  #store(): void {
    const store = this.#options.place
    if (!store || !('save' in store) || this.#saving !== undefined) return
    this.#saving = this.#clock.setTimeout(() => this.#save(store), 1000)
  }

  #save(store: PlaceStore): void {
    this.#saving = undefined
    const place = this.place
    if (place) this.#tell(() => store.save(place))
  }

  #finish(error?: Error): void {
    if (this.#isClosed()) return
    this.#error = error
    this.#move('closed', error?.message)
    this.#connection?.close(1000, 'the client has what it wants')
    this.#wake?.()
    for (const { reject } of this.#openings.splice(0)) reject(error ?? new Error('the stream is closed'))
    for (const queue of this.#queues) queue.end(error)
    this.#clock.clearTimeout(this.#saving)
    const store = this.#options.place
    if (store && 'save' in store) this.#save(store)
  }
}
