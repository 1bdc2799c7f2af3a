/** What waits for one reader of a stream. */
export class Queue<T> implements AsyncIterableIterator<T> {
  readonly #items: T[] = []
  readonly #changed: () => void
  readonly #left: () => void
  /** Whether the first item was handed out; it is done with when the reader asks for the next. */
  #lent = false
  #over = false
  #error: Error | undefined
  #waiting: (() => void) | undefined

  /** `changed` is called when something was taken, `left` when the reader goes. */
  constructor(changed: () => void, left: () => void) {
    this.#changed = changed
    this.#left = left
  }

  get length(): number {
    return this.#items.length
  }

  /** The oldest item that the reader is not done with. */
  get first(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    this.#items.push(item)
    this.#wake()
  }

  /** No more comes: what is there can still be read, and then there is the error, if any. */
  end(error?: Error): void {
    this.#over = true
    this.#error = error
    this.#wake()
  }

  async next(): Promise<IteratorResult<T>> {
    if (this.#lent) {
      this.#lent = false
      this.#items.shift()
      this.#changed()
    }
    while (this.#items.length === 0) {
      if (this.#over && this.#error) throw this.#error
      if (this.#over) return { done: true, value: undefined }
      await new Promise<void>((wake) => (this.#waiting = wake))
    }
    this.#lent = true
    return { done: false, value: this.#items[0] as T }
  }

  async return(): Promise<IteratorResult<T>> {
    this.#items.length = 0
    this.#over = true
    this.#left()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #wake(): void {
    this.#waiting?.()
    this.#waiting = undefined
  }
}
