import type { Clock } from './clock.js'
import type { ClientMessage, Complaint, Confirmed, Narrowed, Pong, Recent, ServerMessage, Unsubscribed } from './message.js'

/** What answers a question. */
export type Answer = Confirmed | Unsubscribed | Narrowed | Recent | Pong | Complaint

/** As much of a WebSocket as is needed, whoever made it. */
export interface Socket {
  send(text: string): void
  close(code?: number, reason?: string): void
  onopen: any
  onmessage: any
  onclose: any
  onerror: any
}

/** How a connection ended. */
export interface End {
  code: number
  reason: string
  /** Whether the collector ever said that it is connected. */
  established: boolean
  /** The last complaint that answered no question. */
  complaint?: Complaint
}

/** The collector says nothing by itself that a page could see, so it is asked when nothing else came for so long. */
const QUIET = 25_000
/** How long an answer, or the first message, may take. */
const PATIENCE = 15_000
/** The collector takes 100 messages a minute, of which some are answers to its own pings. */
const MESSAGES_PER_MINUTE = 90

const ANSWERS = ['subscription_confirmed', 'unsubscription_confirmed', 'filter_updated', 'recent_events', 'pong', 'error']

/** One WebSocket, from its beginning to its end. */
export class Connection {
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #hear: (message: ServerMessage) => void
  readonly #ended: (end: End) => void
  /** Answers come in the order of the questions. */
  readonly #questions: ((answer: Answer | undefined) => void)[] = []
  readonly #outbox: string[] = []
  /** When the last messages were sent. */
  readonly #sent: number[] = []
  #heard: number
  /** When it was asked whether it is still there, if nothing came since. */
  #asked: number | undefined
  #established = false
  #over = false
  #complaint: Complaint | undefined
  #watch: unknown
  #pace: unknown

  /** Sends the token first, if there is one, which is what a collector that asks for one waits for. */
  constructor(
    socket: Socket,
    token: string | undefined,
    clock: Clock,
    hear: (message: ServerMessage) => void,
    ended: (end: End) => void,
  ) {
    this.#socket = socket
    this.#clock = clock
    this.#hear = hear
    this.#ended = ended
    this.#heard = clock.now()
    this.#look()
    socket.onopen = () => {
      if (token !== undefined && !this.#over) this.#send({ type: 'hello', token })
    }
    socket.onmessage = (message: { data: unknown }) => this.#receive(message.data)
    socket.onerror = () => {}
    socket.onclose = (close: { code: number; reason: string }) => this.#finish(close.code, close.reason)
  }

  /**
   * Asks, and is told the answer; nothing, if the connection ended before it came. At once and not by a promise, because
   * what follows an answer may come in the same breath, and means what the answer says.
   */
  ask(question: ClientMessage, answered: (answer: Answer | undefined) => void): void {
    if (this.#over) return answered(undefined)
    this.#questions.push(answered)
    this.#send(question)
  }

  /** Ends it without waiting for the other side, which may be gone. */
  close(code: number, reason: string): void {
    if (this.#over) return
    this.#socket.close(code, reason)
    this.#finish(code, reason)
  }

  #receive(data: unknown): void {
    if (this.#over || typeof data !== 'string') return
    this.#heard = this.#clock.now()
    this.#asked = undefined
    let message: ServerMessage
    try {
      message = JSON.parse(data) as ServerMessage
    } catch {
      return
    }
    this.#established ||= message.type === 'connection_established'
    if (!ANSWERS.includes(message.type)) return this.#hear(message)
    const answered = this.#questions.shift()
    if (answered) answered(message as Answer)
    else if (message.type === 'error') this.#complaint = message
  }

  #send(message: ClientMessage): void {
    this.#outbox.push(JSON.stringify(message))
    this.#flush()
  }

  #flush(): void {
    while (this.#outbox.length > 0) {
      const now = this.#clock.now()
      while (this.#sent.length > 0 && now - (this.#sent[0] as number) >= 60_000) this.#sent.shift()
      if (this.#sent.length >= MESSAGES_PER_MINUTE) {
        this.#pace ??= this.#clock.setTimeout(() => {
          this.#pace = undefined
          this.#flush()
        }, 60_000 - (now - (this.#sent[0] as number)))
        return
      }
      this.#sent.push(now)
      this.#socket.send(this.#outbox.shift() as string)
    }
  }

  /** Asks whether anybody is there, and gives up if nobody is. */
  #look(): void {
    const due = this.#asked === undefined ? this.#heard + (this.#established ? QUIET : PATIENCE) : this.#asked + PATIENCE
    const left = due - this.#clock.now()
    // What waits for its turn is asked in time, and asks as well as a ping.
    const wait = this.#outbox.length > 0 ? Math.max(left, 1000) : left
    if (wait > 0) {
      this.#watch = this.#clock.setTimeout(() => this.#look(), wait)
    } else if (this.#established && this.#asked === undefined) {
      this.#asked = this.#clock.now()
      this.ask({ type: 'ping' }, () => {})
      this.#look()
    } else {
      this.close(4000, 'nothing was heard for too long')
    }
  }

  #finish(code: number, reason: string): void {
    if (this.#over) return
    this.#over = true
    this.#clock.clearTimeout(this.#watch)
    this.#clock.clearTimeout(this.#pace)
    for (const answered of this.#questions.splice(0)) answered(undefined)
    const end: End = { code, reason, established: this.#established }
    if (this.#complaint) end.complaint = this.#complaint
    this.#ended(end)
  }
}
