/** What time it is, and who wakes us. Tests have one of their own. */
export interface Clock {
  /** Milliseconds. */
  now(): number
  setTimeout(wake: () => void, milliseconds: number): unknown
  clearTimeout(timer: unknown): void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (wake, milliseconds) => setTimeout(wake, milliseconds),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
}

/** How long to wait before the next attempt, in milliseconds. */
export interface Backoff {
  /** After the first failure; it doubles with each that follows. */
  first: number
  most: number
}

/** A wait is between half and the whole of it, so that clients that lost one collector do not all come back at once. */
export function delay({ first, most }: Backoff, failures: number, random: () => number): number {
  const whole = Math.min(most, first * 2 ** Math.min(failures, 30))
  return whole * (0.5 + random() / 2)
}
