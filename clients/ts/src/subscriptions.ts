import { executionOf, type Filter, type SpanlightEvent } from './event.js'
import type { Confirmed, Topic } from './message.js'

/** What one may subscribe to. */
export type Target =
  | { executionId: string }
  | { conversationId: string }
  | { subscription: Topic }
  | { filter: Filter }

type Named = Exclude<Target, { filter: Filter }>

/** A target as it stands in messages. */
export function wire(target: Target) {
  if ('executionId' in target) return { execution_id: target.executionId }
  if ('conversationId' in target) return { conversation_id: target.conversationId }
  return target
}

interface Subscription {
  target: Named
  /** How many of its last events come first, as long as these have not begun to come. */
  replay: number
  confirmed: boolean
}

/** What is wanted, over all connections. */
export class Subscriptions {
  #wanted: Subscription[] = []

  constructor({ subscriptions, executions = [], conversations = [], replay }: Wanted) {
    const runs = [
      ...executions.map((executionId) => ({ executionId })),
      ...conversations.map((conversationId) => ({ conversationId })),
    ]
    const topics = subscriptions ?? (runs.length > 0 ? [] : (['all_events'] as const))
    for (const subscription of topics) this.#push({ subscription }, replay ?? 0)
    for (const run of runs) this.#push(run, replay ?? 100)
  }

  /** The topics that a URL may name: those of which nothing has to come first. */
  topics(): Topic[] {
    return this.#wanted.flatMap(({ target, replay }) => ('subscription' in target && replay === 0 ? target.subscription : []))
  }

  /** Runs and conversations that go on. */
  resumed(): Named[] {
    return this.#wanted.flatMap(({ target, replay }) => ('subscription' in target || replay > 0 ? [] : target))
  }

  /** What is to begin with its last events. */
  pending(): [Named, number][] {
    return this.#wanted.flatMap(({ target, replay }) => (replay > 0 ? [[target, replay]] : []))
  }

  /** Whether an event belongs to a run or a conversation that goes on. */
  resumes(event: SpanlightEvent): boolean {
    const execution = executionOf(event)
    return this.resumed().some((target) =>
      'executionId' in target
        ? target.executionId === execution
        : 'conversationId' in target && target.conversationId === event.conversation_id,
    )
  }

  add(target: Named, replay: number | undefined, confirmed: Confirmed): void {
    if (this.#find(target)) return
    this.#push(target, replay ?? ('subscription' in target ? 0 : 100))
    this.confirm(target, confirmed)
  }

  /** Its last events come now, if there are any. */
  confirm(target: Named, { replayed = 0 }: Confirmed): void {
    const found = this.#find(target)
    if (!found) return
    found.confirmed = true
    if (replayed === 0) found.replay = 0
  }

  /** An event came: from here on the rest is behind it. */
  begun(): void {
    for (const each of this.#wanted) if (each.confirmed) each.replay = 0
  }

  /** Nothing has to come first any more. */
  replayed(): void {
    for (const each of this.#wanted) each.replay = 0
  }

  remove(target: Named): void {
    this.#wanted = this.#wanted.filter((each) => each !== this.#find(target))
  }

  /** These topics, and nothing else. */
  replace(topics: readonly Topic[]): void {
    this.#wanted = []
    for (const subscription of topics) this.#push({ subscription }, 0)
  }

  #push(target: Named, replay: number): void {
    if (!this.#find(target)) this.#wanted.push({ target, replay, confirmed: false })
  }

  #find(target: Named): Subscription | undefined {
    const name = JSON.stringify(target)
    return this.#wanted.find((each) => JSON.stringify(each.target) === name)
  }
}

interface Wanted {
  subscriptions?: readonly Topic[]
  executions?: readonly string[]
  conversations?: readonly string[]
  replay?: number
}
