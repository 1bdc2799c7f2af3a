// Against the collector itself: the environment variable SPANLIGHT says where the binary is.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect as dial, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'

import { ApiError, type Place, Spanlight, type SpanlightEvent, type StreamGap } from '../src/index.js'
import { sockets, Told } from './fake.js'

const binary = process.env['SPANLIGHT'] ?? join(import.meta.dirname, '../../../../target/debug/spanlight')

/** A collector in a directory of its own, on another port after every start. */
class Collector {
  #port = 0
  #process: ChildProcess | undefined
  readonly #dir: string

  constructor(dir: string) {
    this.#dir = dir
  }

  get port(): number {
    return this.#port
  }

  async start(...more: string[]): Promise<void> {
    const onAnyPort = (key: string) => ['--set', `${key}=127.0.0.1:0`]
    const args = [
      'run',
      ...more,
      ...onAnyPort('extensions.web.endpoint'),
      ...onAnyPort('receivers.otlp.protocols.grpc.endpoint'),
      ...onAnyPort('receivers.otlp.protocols.http.endpoint'),
    ]
    this.#process = spawn(binary, args, { cwd: this.#dir, stdio: ['ignore', 'pipe', 'inherit'] })
    await once(this.#process, 'spawn')
    let said = ''
    let port = ''
    for await (const piece of this.#process.stdout as AsyncIterable<Buffer>) {
      said += piece
      port = /http:\/\/127\.0\.0\.1:(\d+)\/api/.exec(said)?.[1] ?? ''
      if (port !== '') break
    }
    assert.notEqual(port, '', `the collector did not start: ${said}`)
    this.#port = Number(port)
  }

  async kill(): Promise<void> {
    const running = this.#process as ChildProcess
    if (running.exitCode !== null) return
    const gone = once(running, 'exit')
    running.kill('SIGKILL')
    await gone
  }
}

/** A wire to the collector that can be cut. */
class Wire {
  readonly #ends = new Set<Socket>()
  readonly #server = createServer((near) => {
    const far = dial(this.#port(), '127.0.0.1')
    for (const [one, other] of [[near, far], [far, near]] as const) {
      this.#ends.add(one)
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
      one.pipe(other)
    }
  })
  readonly #port: () => number

  constructor(port: () => number) {
    this.#port = port
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  cut(): void {
    for (const end of this.#ends) end.destroy()
    this.#ends.clear()
  }

  stop(): void {
    this.cut()
    this.#server.close()
  }
}

describe('a collector', { timeout: 25_000 }, () => {
  let dir: string
  let collector: Collector
  let spanlight: Spanlight
  let whole: Wire
  let url: string

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'spanlight-client-'))
    collector = new Collector(dir)
    await collector.start()
    whole = new Wire(() => collector.port)
    url = await whole.start()
    spanlight = new Spanlight(url, sockets)
  })

  after(async () => {
    whole.stop()
    await collector.kill()
    await rm(dir, { recursive: true })
  })

  const numbered = (numbers: number[], more: object = {}) =>
    numbers.map((number) => ({ name: 'agent.failed', agent: 'a', message: String(number), ...more }))
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at)

  it('is heard whole over a wire that is cut, and when it is killed; what it has forgotten is a gap', async () => {
    const wire = new Wire(() => collector.port)
    const [seen, gaps] = [new Told<SpanlightEvent>(), new Told<StreamGap>()]
    const stream = new Spanlight(await wire.start(), sockets).stream({
      filter: { agent: 'a' },
      backoff: { first: 5, most: 20 },
      onEvent: seen.listen,
      onGap: gaps.listen,
    })
    await stream.opened()
    for (let number = 0; number < 300; number += 10) {
      await spanlight.send([...numbered(range(number, number + 10)), { name: 'agent.failed', agent: 'b', message: 'no' }])
      if (number % 30 === 0) wire.cut()
      if (number % 100 === 50) await seen.count(number)
    }
    await seen.count(300)
    const { epoch } = stream.place as Place
    await collector.kill()
    await collector.start()
    await spanlight.send(numbered(range(300, 310)))
    await seen.count(310)
    assert.deepEqual([gaps.all, stream.place?.epoch], [[], epoch], 'what was shown is on disk')
    await collector.kill()
    await rm(join(dir, 'spanlight-data', 'journal'), { recursive: true })
    await collector.start()
    await gaps.count(1)
    await spanlight.send(numbered(range(310, 320)))
    const said = (await seen.count(320)).map(({ message }) => Number(message))
    assert.deepEqual(said, range(0, 320))
    assert.equal(gaps.all.length, 1)
    assert.notEqual(stream.place?.epoch, epoch)
    stream.close()
    wire.stop()
  })

  it('gives a run with its past, in a loop', async () => {
    await spanlight.send(numbered(range(0, 5), { execution_id: 'run' }))
    await spanlight.send(numbered(range(0, 5), { execution_id: 'another' }))
    await inMemory(10)
    const stream = spanlight.stream({ executions: ['run'], replay: 3 })
    const said: string[] = []
    for await (const { message, execution_id } of stream) {
      assert.equal(execution_id, 'run')
      said.push(message ?? '')
      if (said.length === 3) await spanlight.send(numbered([7], { execution_id: 'another' }))
      if (said.length === 3) await spanlight.send(numbered([8], { execution_id: 'run' }))
      if (said.length === 4) break
    }
    assert.deepEqual(said, ['2', '3', '4', '8'])
    stream.close()
  })

  it('is subscribed to, and no more', async () => {
    const seen = new Told<SpanlightEvent>()
    const stream = spanlight.stream({ subscriptions: ['tool_usage'], onEvent: seen.listen })
    await stream.opened()
    const confirmed = await stream.subscribe({ executionId: 'run' }, { replay: 2 })
    assert.equal(confirmed.replayed, 2)
    assert.deepEqual((await seen.count(2)).map(({ message }) => message), ['4', '8'])
    await stream.unsubscribe({ executionId: 'run' })
    await stream.filterUpdate({ filter: { agent: 'a' } })
    await spanlight.send([...numbered([1], { execution_id: 'run' }), { name: 'tool.failed', tool: 't', agent: 'a', message: 'x' }])
    assert.deepEqual((await seen.count(3)).at(-1)?.scope, 'tool')
    assert.equal((await stream.getRecent({ names: ['tool.*'] })).at(-1)?.event.tool, 't')
    await stream.subscribe({ filter: { agent: 'a' } }, { replay: 3 })
    // Of the last three, two have come already.
    assert.deepEqual((await seen.count(4)).at(-1)?.message, '1')
    await assert.rejects(stream.subscribe({ subscription: 'tool_use' as 'tool_usage' }), /did you mean `tool_usage`/)
    stream.close()
  })

  it('says what a stream may not ask', async () => {
    const stream = spanlight.stream({ filter: { scope: 'tools' as 'tool' } })
    await assert.rejects(stream.opened(), /did you mean `tool`/)
    assert.equal(stream.state, 'closed')
  })

  it('tells of runs and their cost', async () => {
    const call = { model: 'gpt-4o', provider: 'openai', agent: 'a', execution_id: 'priced' }
    await spanlight.send({ name: 'agent.started', agent: 'a', execution_id: 'priced' })
    await spanlight.send({ name: 'llm.completed', ...call, input_tokens: 1000, output_tokens: 100, cost_usd: 0.5 })
    const { runs } = await spanlight.runs({ agent: 'a', limit: 100 })
    assert.ok(runs.some(({ id }) => id === 'priced'))
    const run = await spanlight.run('priced')
    assert.equal(run.tree[0]?.scope, 'agent', JSON.stringify(run))
    const page = await spanlight.runEvents('priced', { scope: ['agent', 'llm_request'], limit: 1 })
    assert.deepEqual([page.events.length, page.events[0]?.event.name], [1, 'agent.started'])
    assert.ok(Array.isArray((await spanlight.runLedger('priced')).calls))
    assert.equal((await spanlight.ledger({ by: 'agent', explain: true })).by, 'agent')
    assert.equal((await spanlight.metrics({ by: 'agent' })).window, '1h')
    const unknown = spanlight.runs({ status: 'faild' as 'failed' })
    await assert.rejects(unknown, (error) => error instanceof ApiError && error.status === 400 && /`failed`/.test(error.message))
    assert.deepEqual((await spanlight.budgets()).budgets, [])
    await assert.rejects(spanlight.verdict('daily', { est_cost: 1 }), (error) => error instanceof ApiError && error.status === 404)
    await assert.rejects(spanlight.send({ name: 'agent.started' }), /needs/)
    await assert.rejects(spanlight.run('none'), (error) => error instanceof ApiError && error.status === 404)
  })

  it('believes a token, and says when it does not', async () => {
    await collector.kill()
    await collector.start('--set', 'extensions.web.auth.token=secret')
    const known = new Spanlight(url, { ...sockets, token: async () => 'secret' })
    const stream = known.stream({ filter: { agent: 'believed' }, performanceThreshold: 0.5 })
    await stream.opened()
    // It may be there before the answer to whoever sends it, and a reader has what comes from its first step on.
    const first = stream[Symbol.asyncIterator]().next()
    const event = { name: 'agent.completed', agent: 'believed' }
    await known.send([{ ...event, confidence: 0.4, message: 'unsure' }, { ...event, confidence: 0.6, message: 'sure' }])
    assert.equal((await first).value?.message, 'sure')
    stream.close()
    const stranger = new Spanlight(url, { ...sockets, token: 'wrong' })
    await assert.rejects(stranger.runs(), (error) => error instanceof ApiError && error.status === 401)
    await assert.rejects(stranger.stream().opened(), /believes no such token/)
  })

  /** Waits until so many events of runs are where streams read them. */
  async function inMemory(count: number): Promise<void> {
    const execution = ['run', 'another']
    while ((await spanlight.events({ execution, limit: 1000 })).events.length < count) {
      await new Promise((soon) => setTimeout(soon, 5))
    }
  }
})
