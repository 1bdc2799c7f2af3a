import assert from 'node:assert/strict'
import { it } from 'node:test'

import { ApiError, Spanlight } from '../src/index.js'

/** What is asked of an endpoint with this URL, which answers so. */
function asked(url: string, answer: Response, token?: () => Promise<string>) {
  const requests: { url: string; init: RequestInit | undefined }[] = []
  const send = async (url: string | URL | Request, init?: RequestInit) => {
    requests.push({ url: String(url), init })
    return answer
  }
  return { spanlight: new Spanlight(url, { fetch: send as typeof fetch, ...(token ? { token } : {}) }), requests }
}

it('is found by any of its URLs, also below a path', async () => {
  for (const [url, base] of [
    ['http://c:3010', 'http://c:3010/'],
    ['ws://c:3010/ws', 'http://c:3010/'],
    ['wss://c/spanlight/ws', 'https://c/spanlight/'],
    ['https://c/spanlight/', 'https://c/spanlight/'],
  ] as const) {
    const { spanlight, requests } = asked(url, Response.json({}))
    await spanlight.runs({ status: ['failed', 'lost'], limit: 3 })
    assert.equal(requests[0]?.url, `${base}api/v1/runs?status=failed&status=lost&limit=3`)
  }
})

it('is told who asks, and says what is wrong', async () => {
  const denied = asked('http://c', Response.json({ error: 'it has expired' }, { status: 401 }), async () => 'secret')
  const expired = (error: unknown) => error instanceof ApiError && error.status === 401 && error.message === 'it has expired'
  await assert.rejects(denied.spanlight.run('a/b'), expired)
  assert.equal(denied.requests[0]?.url, 'http://c/api/v1/runs/a%2Fb')
  assert.deepEqual(denied.requests[0]?.init?.headers, { authorization: 'Bearer secret' })
  const none = asked('http://c', Response.json({ accepted: 0, rejected: [{ index: 0, error: 'no name' }] }, { status: 400 }))
  await assert.rejects(none.spanlight.send({ name: '' }), /no name/)
  const proxy = asked('http://c', new Response('<html>', { status: 502, statusText: 'Bad Gateway' }))
  await assert.rejects(proxy.spanlight.metrics(), /\/api\/v1\/metrics: 502/)
})
