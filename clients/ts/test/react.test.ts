import assert from 'node:assert/strict'
import { after, afterEach, beforeEach, describe, it } from 'node:test'

import { Window } from 'happy-dom'
import { act, createElement, StrictMode } from 'react'
import { createRoot, type Root } from 'react-dom/client'
import { renderToString } from 'react-dom/server'

import { type Snapshot, SpanlightProvider, useEvents, useExecution } from '../src/react.js'
import type { Filter } from '../src/index.js'
import { event, Fake, type Peer, sockets } from './fake.js'

const window = new Window()
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: true })

describe('hooks', { timeout: 10_000 }, () => {
  let fake: Fake
  let root: Root
  let drawn: Snapshot[]
  let drawings: number

  beforeEach(async () => {
    fake = await Fake.start()
    root = createRoot(window.document.createElement('div') as unknown as Element)
    drawn = []
    drawings = 0
  })

  afterEach(async () => {
    await act(async () => root.unmount())
    await fake.stop()
  })

  after(() => window.happyDOM.close())

  function Events({ filter, at = 0 }: { filter: Filter; at?: number }) {
    drawn[at] = useEvents(filter, { limit: 3 })
    drawings += 1
    return drawn[at].events.map(({ message }) => message).join()
  }

  function Execution({ id }: { id: string | undefined }) {
    drawn[0] = useExecution(id)
    return null
  }

  const draw = (...children: ReturnType<typeof createElement>[]) =>
    act(async () => {
      const provider = createElement(SpanlightProvider, { url: fake.url, ...sockets }, ...children)
      root.render(createElement(StrictMode, null, provider))
    })

  /** Draws until it is so. */
  async function until(so: () => boolean): Promise<void> {
    while (!so()) await act(() => new Promise((soon) => setTimeout(soon, 5)))
  }

  async function established(): Promise<Peer> {
    const peer = await fake.peer()
    peer.establish('e1')
    await until(() => drawn[0]?.isConnected === true)
    return peer
  }

  it('share a connection, also where everything is done twice, and draw what comes together at once', async () => {
    const filter = () => ({ scope: 'agent' as const })
    await draw(
      createElement(Events, { key: 1, filter: filter() }),
      createElement(Events, { key: 2, filter: filter(), at: 1 }),
    )
    const peer = await established()
    const before = drawings
    peer.events(...Array.from({ length: 200 }, (_, offset) => offset))
    await until(() => drawn[0]?.events.at(-1)?.message === '199')
    assert.deepEqual(drawn[0]?.events.map(({ message }) => message), ['197', '198', '199'])
    assert.equal(drawn[0]?.dropped, 197)
    assert.equal(drawn[1]?.events, drawn[0]?.events, 'all that is drawn is of one moment')
    assert.ok(drawings - before < 100, `200 events are drawn ${drawings - before} times`)
    assert.equal(fake.connections, 1)
  })

  it('go with the component', async () => {
    await draw(createElement(Events, { filter: { agent: 'a' } }))
    const first = await established()
    assert.equal(first.query.get('agent'), 'a')
    // The same in other words is no reason to connect anew.
    await draw(createElement(Events, { filter: { agent: 'a' } }))
    assert.equal(fake.connections, 1)
    await draw(createElement(Events, { filter: { agent: 'b' } }))
    assert.equal((await fake.peer()).query.get('agent'), 'b')
    await act(() => first.gone())
    await act(async () => root.render(null))
    assert.equal(fake.connections, 2)
  })

  it('follow a run, and say what is missing and whether they are connected', async () => {
    await draw(createElement(Execution, { id: undefined }))
    assert.deepEqual(drawn[0]?.events, [])
    await draw(createElement(Execution, { id: 'run' }))
    const peer = await established()
    assert.equal((await peer.hears()).type, 'unsubscribe')
    assert.deepEqual(await peer.hears(), { type: 'subscribe', execution_id: 'run', replay: 1000 })
    peer.say({ type: 'unsubscription_confirmed' }, { type: 'subscription_confirmed', next: 5, replayed: 1 })
    peer.say({ type: 'event', offset: 4, event: event(4) }, { type: 'gap', from: 5, to: 7, reason: 'no longer in memory' })
    await until(() => drawn[0]?.gap !== undefined)
    assert.deepEqual(drawn[0]?.gap, { epoch: 'e1', from: 5, to: 7, reason: 'no longer in memory' })
    assert.equal(drawn[0]?.events.length, 1)
    peer.vanish()
    await until(() => drawn[0]?.isConnected === false)
    assert.equal(drawn[0]?.events.length, 1, 'what has come stays')
  })

  it('draw nothing on a server, and need a provider', () => {
    const page = createElement(SpanlightProvider, { url: fake.url, ...sockets }, createElement(Events, { filter: {} }))
    assert.equal(renderToString(page), '')
    assert.equal(fake.connections, 0)
    assert.throws(() => renderToString(createElement(Events, { filter: {} })), /SpanlightProvider/)
  })
})
