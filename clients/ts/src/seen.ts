/** The offsets that were delivered last, so that none is delivered twice. */
export class Seen {
  readonly #most: number
  readonly #offsets = new Set<number>()

  constructor(most = 10_000) {
    this.#most = most
  }

  /** Whether this one is new; from now on it is not. */
  add(offset: number): boolean {
    if (this.#offsets.has(offset)) return false
    this.#offsets.add(offset)
    if (this.#offsets.size > this.#most) {
      // A set is in the order in which things were put into it.
      for (const oldest of this.#offsets) {
        this.#offsets.delete(oldest)
        break
      }
    }
    return true
  }

  clear(): void {
    this.#offsets.clear()
  }
}
