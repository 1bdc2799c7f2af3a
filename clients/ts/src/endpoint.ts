import { appendQuery, type Filter } from './event.js'

/** Where a collector is, and how it is spoken to. */
export interface EndpointOptions {
  /** A bearer token, or what gets a fresh one whenever one is needed. */
  token?: string | (() => string | Promise<string>)
  /** Who makes WebSockets, if not the platform. */
  WebSocket?: new (url: string) => object
  /** Who sends requests, if not the platform. */
  fetch?: typeof fetch
}

/** An answer of the collector that says what is wrong. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The web endpoint of a collector. */
export class Endpoint {
  readonly #url: string | URL
  readonly #options: EndpointOptions

  /** `http://127.0.0.1:3010`, or `ws://…/ws`, or a path on the origin of the page. */
  constructor(url: string | URL, options: EndpointOptions = {}) {
    this.#url = url
    this.#options = options
  }

  /** Made out when it is used: where a page is drawn on a server, it has no origin yet. */
  get #base(): URL {
    const base = new URL(this.#url, (globalThis as { location?: { href: string } }).location?.href)
    base.protocol = base.protocol.replace(/^ws/, 'http')
    base.pathname = base.pathname.replace(/\/(ws)?$/, '') + '/'
    base.search = base.hash = ''
    return base
  }

  /** Whether a token that is not believed any more may be replaced by another. */
  get renewsToken(): boolean {
    return typeof this.#options.token === 'function'
  }

  async token(): Promise<string | undefined> {
    const { token } = this.#options
    return typeof token === 'function' ? token() : token
  }

  socket(query: URLSearchParams): object {
    const url = new URL('ws', this.#base)
    url.protocol = url.protocol.replace(/^http/, 'ws')
    url.search = query.toString()
    const maker = this.#options.WebSocket ?? (globalThis as { WebSocket?: new (url: string) => object }).WebSocket
    if (!maker) throw new Error('there is no WebSocket here: use Node.js 22 or later, or give the option `WebSocket`')
    return new maker(url.href)
  }

  /** Asks for JSON. */
  async json<T>(path: string, query: object = {}, body?: unknown): Promise<T> {
    const url = new URL(path, this.#base)
    appendQuery(url.searchParams, query)
    const token = await this.token()
    const headers: Record<string, string> = {}
    if (token !== undefined) headers['authorization'] = `Bearer ${token}`
    if (body !== undefined) headers['content-type'] = 'application/json'
    const send = this.#options.fetch ?? fetch
    const answer = await send(url, body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await answer.text()
    if (answer.ok) return JSON.parse(text) as T
    throw new ApiError(answer.status, said(text) ?? `${url.pathname}: ${answer.status} ${text.trim() || answer.statusText}`)
  }
}

/** What an answer says is wrong: of a request, of its first bad event, or of OTLP. */
function said(text: string): string | undefined {
  try {
    const { error, rejected, message } = JSON.parse(text) as Partial<Refusal>
    return error ?? rejected?.[0]?.error ?? message
  } catch {
    return undefined
  }
}

interface Refusal {
  error: string
  rejected: { error: string }[]
  message: string
}

/** Why the collector will not let a stream with this filter begin, if it says so. */
export async function diagnose(endpoint: Endpoint, filter: Filter): Promise<Error | undefined> {
  try {
    await endpoint.json('api/v1/events', { ...filter, limit: 0 })
  } catch (error) {
    const final = error instanceof ApiError && (error.status === 400 || (error.status === 401 && !endpoint.renewsToken))
    return final ? error : undefined
  }
  return undefined
}
