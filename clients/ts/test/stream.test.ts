import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'

import {
  connect,
  type EndpointOptions,
  type EventStream,
  type Place,
  RequestError,
  type StreamGap,
  type StreamOptions,
} from '../src/index.js'
import { event, Fake, Hand, sockets, Told } from './fake.js'

/** Once everything has happened that needs no more than what is there already. */
const settled = () => new Promise((soon) => setImmediate(soon))

describe('a stream', { timeout: 10_000 }, () => {
  let fake: Fake
  let clock: Hand
  let streams: EventStream[]

  beforeEach(async () => {
    fake = await Fake.start()
    clock = new Hand()
    streams = []
  })

  afterEach(async () => {
    for (const stream of streams) stream.close()
    await fake.stop()
  })

  /** A stream, the offsets of what it delivers, and what it tells of itself. */
  function open(options: StreamOptions & EndpointOptions = {}) {
    const [seen, gaps, states] = [new Told<number>(), new Told<StreamGap>(), new Told<string>()]
    const stream = connect(fake.url, {
      ...sockets,
      clock,
      random: () => 1,
      onEvent: (_, { offset }) => seen.listen(offset),
      onGap: gaps.listen,
      onState: (state) => states.listen(state),
      ...options,
    })
    streams.push(stream)
    return { stream, seen, gaps, states }
  }

  it('says in its URL what it is of', async () => {
    open({ subscriptions: ['llm_calls', 'errors'], filter: { scope: ['agent', 'tool'], min_priority: 3 } })
    const { query } = await fake.peer()
    assert.deepEqual(query.getAll('scope'), ['agent', 'tool'])
    assert.equal(query.get('min_priority'), '3')
    assert.equal(query.get('subscription'), 'llm_calls,errors')
    assert.equal(query.has('epoch'), false)
  })

  it('goes on behind the last event after it broke off', async () => {
    const { seen, states } = open()
    const first = await fake.peer()
    first.establish('e1', 6)
    first.events(7, 8)
    await seen.count(2)
    first.vanish()
    await clock.sleeper(500)
    clock.pass(500)
    const second = await fake.peer()
    assert.deepEqual([second.query.get('epoch'), second.query.get('resume_from')], ['e1', '8'])
    second.establish('e1', 8)
    // One of these was on its way when the connection broke.
    second.events(8, 9, 10)
    assert.deepEqual(await seen.count(4), [7, 8, 9, 10])
    assert.deepEqual(states.all, ['open', 'waiting', 'connecting', 'open'])
  })

  it('goes on from where it was told that it is, if no event came', async () => {
    open()
    const first = await fake.peer()
    first.establish('e1', 6)
    first.close(1001, 'the collector stops')
    await clock.sleeper(500)
    clock.pass(500)
    assert.equal((await fake.peer()).query.get('resume_from'), '6')
  })

  it('waits longer after each failure, and not longer than it may', async () => {
    const { states } = open({ backoff: { first: 100, most: 300 } })
    for (const wait of [200, 300, 300]) {
      ;(await fake.peer()).close(1013, 'there is no room')
      await clock.sleeper(wait)
      clock.pass(wait)
    }
    const peer = await fake.peer()
    peer.establish()
    await states.count(7)
    peer.close(1001)
    // What was connected is near, so it begins with the first wait.
    await clock.sleeper(100)
  })

  it('tells of what is missing', async () => {
    const { stream, seen, gaps } = open({ place: { epoch: 'old', offset: 41 } })
    const peer = await fake.peer()
    assert.deepEqual([peer.query.get('epoch'), peer.query.get('resume_from')], ['old', '41'])
    peer.establish('new')
    peer.say({ type: 'gap', from: 0, to: 3, reason: 'the collector was restarted' })
    assert.deepEqual(await gaps.count(1), [{ epoch: 'new', from: 0, to: 3, reason: 'the collector was restarted' }])
    assert.deepEqual(stream.place, { epoch: 'new', offset: 2 })
    peer.events(3)
    assert.deepEqual(await seen.count(1), [3])
  })

  it('keeps its place', async () => {
    const saved = new Told<Place>()
    const { stream, seen } = open({ place: { load: async () => ({ epoch: 'e1', offset: 3 }), save: saved.listen } })
    const peer = await fake.peer()
    peer.establish('e1', 3)
    peer.events(4, 5)
    await seen.count(2)
    clock.pass(1000)
    stream.close()
    assert.deepEqual(saved.all, [{ epoch: 'e1', offset: 5 }, { epoch: 'e1', offset: 5 }])
  })

  it('begins a run with its last events and passes over those of others meanwhile', async () => {
    const { seen } = open({ executions: ['run'], replay: 3 })
    const peer = await fake.peer()
    peer.establish('e1', 6)
    peer.events(7)
    assert.deepEqual(await peer.hears(), { type: 'unsubscribe', subscription: 'all_events' })
    assert.deepEqual(await peer.hears(), { type: 'subscribe', execution_id: 'run', replay: 3 })
    // In one breath: what follows an answer means what the answer says.
    peer.say({ type: 'unsubscription_confirmed', subscription: 'all_events' })
    peer.say({ type: 'subscription_confirmed', execution_id: 'run', next: 8, replayed: 2 })
    peer.events(4, 7)
    peer.vanish()
    await seen.count(2)
    await clock.sleeper(500)
    clock.pass(500)
    const second = await fake.peer()
    assert.equal(second.query.get('resume_from'), '7')
    second.establish('e1', 7)
    second.say({ type: 'event', offset: 8, event: event(8, { execution_id: 'another' }) })
    second.say({ type: 'event', offset: 9, event: event(9, { trace_id: 'run' }) })
    assert.deepEqual(await second.hears(), { type: 'subscribe', execution_id: 'run', replay: 0 })
    assert.deepEqual(await second.hears(), { type: 'unsubscribe', subscription: 'all_events' })
    second.say({ type: 'subscription_confirmed', execution_id: 'run', next: 10, replayed: 0 })
    second.say({ type: 'unsubscription_confirmed', subscription: 'all_events' })
    second.events(10)
    assert.deepEqual(await seen.count(4), [4, 7, 9, 10])
  })

  it('answers requests in their order, also over another connection', async () => {
    const { stream, seen } = open()
    const first = await fake.peer()
    first.establish('e1', 0)
    const asked = [stream.subscribe({ executionId: 'a' }, { replay: 5 }), stream.getRecent({ limit: 2, names: ['x.*'] })]
    const wrong = stream.filterUpdate({ filter: { q: 'x' } })
    assert.deepEqual(await first.hears(), { type: 'subscribe', execution_id: 'a', replay: 5 })
    assert.deepEqual(await first.hears(), { type: 'get_recent', limit: 2, event_types: ['x.*'] })
    first.say({ type: 'subscription_confirmed', execution_id: 'a', next: 1, replayed: 0 })
    await asked[0]
    first.vanish()
    await clock.sleeper(500)
    clock.pass(500)
    const second = await fake.peer()
    second.establish('e1', 0)
    assert.deepEqual(await second.hears(), { type: 'subscribe', execution_id: 'a', replay: 0 })
    second.say({ type: 'subscription_confirmed', execution_id: 'a', next: 1, replayed: 0 })
    assert.equal((await second.hears()).type, 'get_recent')
    assert.equal((await second.hears()).type, 'filter_update')
    second.say({ type: 'recent_events', epoch: 'e1', events: [{ offset: 0, event: event(0) }] })
    second.say({ type: 'error', code: 'invalid_filter', message: 'no' })
    assert.deepEqual(await asked[1], [{ offset: 0, event: event(0) }])
    await assert.rejects(wrong, (error) => error instanceof RequestError && error.code === 'invalid_filter')
    second.events(1)
    assert.deepEqual(await seen.count(1), [1])
  })

  it('asks whether anybody is there, and looks for another connection if nobody is', async () => {
    const { stream } = open()
    const first = await fake.peer()
    first.establish('e1', 0)
    await stream.opened()
    clock.pass(25_000)
    assert.deepEqual(await first.hears(), { type: 'ping' })
    first.say({ type: 'pong' })
    // What is read after the answer comes after it.
    await Promise.all([stream.getRecent(), first.hears().then(() => first.say({ type: 'recent_events', events: [] }))])
    clock.pass(24_999)
    clock.pass(1)
    assert.deepEqual(await first.hears(), { type: 'ping' })
    clock.pass(15_000)
    await clock.sleeper(500)
    clock.pass(500)
    assert.equal((await fake.peer()).query.get('resume_from'), '0')
  })

  it('says no more within a minute than it may', async () => {
    const { stream } = open()
    const peer = await fake.peer()
    peer.establish()
    await stream.opened()
    const asked = Array.from({ length: 91 }, () => stream.getRecent())
    for (let count = 0; count < 90; count += 1) {
      await peer.hears()
      peer.say({ type: 'recent_events', events: [] })
    }
    await asked[89]
    const rest = peer.hears()
    const early = await Promise.race([rest, new Promise((late) => setTimeout(late, 50, 'nothing'))])
    assert.equal(early, 'nothing')
    clock.pass(60_000)
    assert.equal((await rest).type, 'get_recent')
    peer.say({ type: 'recent_events', events: [] })
    await Promise.all(asked)
  })

  it('says who it is first, and ends if nobody believes it', async () => {
    const { stream, states } = open({ token: 'secret' })
    const peer = await fake.peer()
    assert.deepEqual(await peer.hears(), { type: 'hello', token: 'secret' })
    peer.say({ type: 'error', code: 'unauthorized', message: 'it has expired' })
    peer.close(1008, 'the token is missing or not valid')
    await assert.rejects(stream.opened(), /believes no such token: it has expired/)
    assert.deepEqual(states.all, ['closed'])
    await assert.rejects(async () => {
      for await (const _ of stream);
    }, /it has expired/)
  })

  it('gets another token where it can', async () => {
    let number = 0
    open({ token: () => `token ${(number += 1)}` })
    const first = await fake.peer()
    assert.equal((await first.hears()).token, 'token 1')
    first.close(1008, 'the token has expired')
    await clock.sleeper(1000)
    clock.pass(1000)
    assert.equal((await (await fake.peer()).hears()).token, 'token 2')
  })

  it('stays closed when it is closed while it asks for a token', async () => {
    const asked = new Told<(token: string) => void>()
    const { stream, states } = open({ token: () => new Promise<string>(asked.listen) })
    const [answer] = await asked.count(1)
    stream.close()
    answer?.('token')
    await settled()
    assert.deepEqual([states.all, fake.connections, clock.sleepers], [['closed'], 0, 0])
  })

  it('stays closed when it is closed while it asks why it was refused', async () => {
    const asked = new Told<(why: Error) => void>()
    const { stream, states } = open({ fetch: () => new Promise((_, fail) => asked.listen(fail)) })
    const peer = await fake.peer()
    peer.close(1013, 'there is no room')
    const [answer] = await asked.count(1)
    stream.close()
    answer?.(new Error('nobody answers'))
    await settled()
    assert.deepEqual([states.all, fake.connections, clock.sleepers], [['closed'], 1, 0])
  })

  it('is read as fast as its reader likes, and waits when it is too slow', async () => {
    const { stream, seen, states } = open({ buffer: 4 })
    const reader = stream[Symbol.asyncIterator]()
    const next = reader.next()
    const first = await fake.peer()
    first.establish('e1')
    first.events(0, 1, 2, 3, 4, 5)
    assert.equal((await next).value?.message, '0')
    await first.gone()
    assert.deepEqual(seen.all, [0, 1, 2, 3])
    assert.equal(stream.place?.offset, undefined, 'the reader has finished nothing')
    for (const message of ['1', '2']) assert.equal((await reader.next()).value?.message, message)
    assert.equal(stream.place?.offset, 1)
    assert.equal((await reader.next()).value?.message, '3')
    const second = await fake.peer()
    assert.equal(second.query.get('resume_from'), '3')
    second.establish('e1', 3)
    second.events(4)
    assert.equal((await reader.next()).value?.message, '4')
    assert.ok(states.all.includes('paused'), states.all.join())
    stream.close()
    assert.equal((await reader.next()).done, true)
  })

  it('tells of summaries, and of confidence only what is high enough', async () => {
    const summaries = new Told<number>()
    const { seen } = open({
      subscriptions: ['agent_performance'],
      performanceThreshold: 0.5,
      onSummary: ({ runs }, rows) => summaries.listen(runs + rows.length),
    })
    const peer = await fake.peer()
    peer.establish()
    assert.deepEqual(await peer.hears(), { type: 'filter_update', performance_threshold: 0.5 })
    for (const [offset, confidence] of [0.4, 0.5].entries()) {
      peer.say({ type: 'event', offset, event: event(offset, { performance: { confidence } }) })
    }
    peer.say({ type: 'filter_updated' }, { type: 'performance_summary', summary: { runs: 3 }, rows: [{}] })
    assert.deepEqual(await summaries.count(1), [4])
    assert.deepEqual(seen.all, [1])
    assert.throws(() => open({ performanceThreshold: 50 }), RangeError)
  })

  it('has readers that do not know of each other', async () => {
    const { stream } = open()
    const [one, other] = [stream[Symbol.asyncIterator](), stream[Symbol.asyncIterator]()]
    const first = [one.next(), other.next()]
    const peer = await fake.peer()
    peer.establish()
    peer.events(0, 1)
    assert.deepEqual((await Promise.all(first)).map(({ value }) => value?.message), ['0', '0'])
    assert.equal((await one.next()).value?.message, '1')
    await one.return(undefined)
    assert.equal(stream.place?.offset, undefined, 'the other has finished nothing')
    assert.equal((await other.next()).value?.message, '1')
    assert.equal(stream.place?.offset, 0)
  })

  it('goes on though a listener throws', async () => {
    const thrown: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => thrown.push(error))
    const told = new Told<number>()
    open({
      onEvent: (_, { offset }) => {
        told.listen(offset)
        if (offset === 0) throw new Error('of the listener')
      },
    })
    const peer = await fake.peer()
    peer.establish()
    peer.events(0, 1)
    assert.deepEqual(await told.count(2), [0, 1])
    process.removeAllListeners('uncaughtException')
    for (const listener of listeners) process.on('uncaughtException', listener)
    assert.match(String(thrown), /of the listener/)
  })
})
