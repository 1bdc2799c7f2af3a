// A collector that says what a test tells it to, and a clock that stands still until it is told otherwise.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'

import type { Clock, ServerMessage, SpanlightEvent } from '../src/index.js'

/** One connection to the fake. */
export class Peer {
  readonly query: URLSearchParams
  readonly #socket: WebSocket
  readonly #heard: any[] = []
  #more: (() => void) | undefined
  closed = false

  constructor(socket: WebSocket, url: string) {
    this.#socket = socket
    this.query = new URL(url, 'ws://fake').searchParams
    socket.on('message', (data) => {
      this.#heard.push(JSON.parse(String(data)))
      this.#more?.()
    })
    socket.on('close', () => {
      this.closed = true
      this.#more?.()
    })
  }

  say(...messages: (Partial<ServerMessage> | object)[]): void {
    for (const message of messages) this.#socket.send(JSON.stringify(message))
  }

  establish(epoch = 'e1', offset?: number): void {
    this.say({ type: 'connection_established', epoch, ...(offset === undefined ? {} : { offset }) })
  }

  events(...offsets: number[]): void {
    for (const offset of offsets) this.say({ type: 'event', offset, event: event(offset) })
  }

  /** The next message of the client. */
  async hears(): Promise<any> {
    while (this.#heard.length === 0) await new Promise<void>((more) => (this.#more = more))
    return this.#heard.shift()
  }

  async gone(): Promise<void> {
    while (!this.closed) await new Promise<void>((more) => (this.#more = more))
  }

  close(code: number, reason = ''): void {
    this.#socket.close(code, reason)
  }

  /** Breaks off without a word. */
  vanish(): void {
    this.#socket.terminate()
  }
}

export class Fake {
  readonly #server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  readonly #peers: Peer[] = []
  #more: (() => void) | undefined
  connections = 0

  static async start(): Promise<Fake> {
    const fake = new Fake()
    fake.#server.on('connection', (socket, request) => {
      fake.connections += 1
      fake.#peers.push(new Peer(socket, request.url ?? '/'))
      fake.#more?.()
    })
    await once(fake.#server, 'listening')
    return fake
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** The next client that connects. */
  async peer(): Promise<Peer> {
    while (this.#peers.length === 0) await new Promise<void>((more) => (this.#more = more))
    return this.#peers.shift() as Peer
  }

  async stop(): Promise<void> {
    for (const client of this.#server.clients) client.terminate()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

export function event(offset: number, more: Partial<SpanlightEvent> = {}): SpanlightEvent {
  return { name: 'agent.progress', message: String(offset), ...more } as SpanlightEvent
}

export const sockets = { WebSocket: WebSocket as new (url: string) => object }

/** Time that passes when a test says so. */
export class Hand implements Clock {
  #now = 0
  #timers: { at: number; wake: () => void }[] = []
  #more: (() => void) | undefined

  now(): number {
    return this.#now
  }

  setTimeout(wake: () => void, milliseconds: number): unknown {
    const timer = { at: this.#now + milliseconds, wake }
    this.#timers.push(timer)
    this.#more?.()
    return timer
  }

  clearTimeout(timer: unknown): void {
    this.#timers = this.#timers.filter((each) => each !== timer)
  }

  /** How many wait for time to pass. */
  get sleepers(): number {
    return this.#timers.length
  }

  /** Waits until somebody sleeps for just so long. */
  async sleeper(milliseconds: number): Promise<void> {
    while (!this.#timers.some(({ at }) => at - this.#now === milliseconds)) {
      await new Promise<void>((more) => (this.#more = more))
    }
  }

  pass(milliseconds: number): void {
    const until = this.#now + milliseconds
    for (;;) {
      this.#timers.sort((a, b) => a.at - b.at)
      const next = this.#timers[0]
      if (!next || next.at > until) break
      this.#timers.shift()
      this.#now = next.at
      next.wake()
    }
    this.#now = until
  }
}

/** Collects what a listener is told, and lets a test wait for it. */
export class Told<T> {
  readonly all: T[] = []
  #more: (() => void) | undefined

  readonly listen = (said: T): void => {
    this.all.push(said)
    this.#more?.()
  }

  async count(count: number): Promise<T[]> {
    while (this.all.length < count) await new Promise<void>((more) => (this.#more = more))
    return this.all
  }
}
