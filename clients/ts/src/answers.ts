import type { EventType, Scope, SpanlightEvent } from './event.js'

/** Offsets that cannot be had any more: `from`, up to but not including `to`. */
export interface Gap {
  from: number
  to: number
  reason: string
}

/** An event and its place. */
export interface OffsetEvent {
  offset: number
  event: SpanlightEvent
}

/** A page of events, oldest first. */
export interface EventPage {
  epoch: string
  events: OffsetEvent[]
  /** The offset at which the next page begins. */
  next: number
  gap?: Gap
}

export type RunStatus = 'running' | 'completed' | 'failed' | 'canceled' | 'lost'

/** Sums over calls. What nobody reported is absent. */
export interface Figures {
  llm_calls: number
  llm_failed: number
  input_tokens?: number
  output_tokens?: number
  cache_read_tokens?: number
  cache_write_tokens?: number
  reasoning_tokens?: number
  cost_usd?: number
  unpriced_calls: number
  /** These by their reason. */
  unpriced?: Record<string, number>
  deviation?: { calls: number; reported_usd: number; computed_usd: number; usd: number }
  embedding_calls: number
  embedding_tokens?: number
  tool_calls: number
  tool_failed: number
  agent_runs: number
  agent_failed: number
}

/** A run. */
export interface Run {
  id: string
  name: string
  status: RunStatus
  started_at: string
  ended_at?: string
  duration_ms?: number
  service?: string
  dialect?: string
  conversation_id?: string
  session_id?: string
  user_id?: string
  feature?: string
  task_id?: string
  agents: string[]
  error?: string
  /** Whether some of it may still change. */
  provisional: boolean
  /** Spans that others name as theirs and that have not come. */
  missing_parents?: number
  figures: Figures
}

/** A page of runs, the latest first. */
export interface RunPage {
  runs: Run[]
  /** The cursor of the next page, if there is one. */
  next?: string
}

/** Tokens of a call. */
export interface Tokens {
  input_tokens?: number
  output_tokens?: number
  cache_read_tokens?: number
  cache_write_tokens?: number
  reasoning_tokens?: number
  usage_repaired?: boolean
}

/** A piece of work in the tree of a run. */
export interface Work extends Tokens {
  span_id: string
  scope: Scope
  operation: string
  name?: string
  status: RunStatus
  started_at: string
  ended_at?: string
  duration_ms?: number
  /** Made out from its surroundings. */
  inferred?: boolean
  agent?: string
  model?: string
  /** Whether its tokens count here, and not at a call above or below. */
  counts?: boolean
  /** With everything below. */
  cost_usd?: number
  error?: string
  children?: Work[]
}

/** A run as a tree. */
export interface RunTree extends Run {
  tree: Work[]
}

/** By what something was priced. */
export interface Prices {
  price_source: string
  price_version: string
  priced_as: string
  service_tier?: string
  service_tier_unpriced?: boolean
  above_tokens?: number
  from?: string
  approx?: boolean
  parts: Part[]
}

/** What one kind of tokens came to. */
export interface Part {
  part: string
  tokens?: number
  usd_per_mtok?: number
  requests?: number
  usd_per_request?: number
  usd: number
  approx?: boolean
}

/** How the cost of a call was made. */
export interface Call extends Tokens {
  span_id: string
  operation: string
  agent?: string
  provider?: string
  model?: string
  token_counting?: 'inclusive' | 'exclusive' | 'repaired'
  counts: boolean
  cost_usd?: number
  price_source?: string
  /** Why it has no price. */
  unpriced?: string
  priced_as?: string
  reported_usd?: number
  deviation_usd?: number
  computed?: Prices & { usd: number }
  left_out?: { reason: string; tokens?: number; usd?: number }
}

/** How the cost of a run was made, call by call. */
export interface RunLedger {
  run: string
  calls: Call[]
}

/** How costs were made, added up. */
export interface Explanation {
  lines: (Prices & { counts: boolean; calls: number; usd: number })[]
  other_rates?: { calls: number; usd: number }
  reported?: { calls: number; usd: number }
  reported_by_agents?: { runs: number; usd: number }
  promoted_runs?: number
  unpriced: { reason: string; provider?: string; model?: string; calls: number }[]
  left_out: { reason: string; times: number; tokens?: number; usd?: number }[]
  token_counting: Record<string, number>
}

export type LedgerBy = 'model' | 'agent' | 'tool' | 'feature' | 'run' | 'day'

/** Tokens and cost. */
export interface Ledger {
  by: LedgerBy
  window: string
  provisional: boolean
  /** The token does not see everything: this is of the runs that it sees, as far as they are in memory. */
  limited?: boolean
  totals: Figures & { explanation?: Explanation }
  rows: (Figures & { key: string; explanation?: Explanation })[]
}

/** The ratios that say whether the work was worth it, and the sums behind them. */
export interface Summary {
  agent_utilization?: number
  cost_per_feature?: number
  average_retry_count?: number
  critic_rejection_rate?: number
  validation_pass_rate?: number
  time_to_completion?: number
  total_cost_usd: number
  unpriced_calls: number
  tokens: number
  runs: number
  errors: number
  escalations: number
  /** Tasks that wait for people now. */
  open_escalations: number
  /** Seconds. */
  oldest_open_escalation?: number
  mean_human_wait?: number
}

export interface SummaryRow extends Summary {
  key: string
}

/** The summary of a window. */
export interface Metrics {
  window: string
  summary: Summary
  rows: SummaryRow[]
}

/** Whether to go on, by a budget. Amounts are US dollars. */
export interface Verdict {
  verdict: 'allow' | 'warn' | 'stop'
  reason: 'enough' | 'not_for_this' | 'warning' | 'spent' | 'in_flight' | 'too_much' | (string & {})
  budget: string
  /** Of which value or run it speaks, where each has a budget of its own. */
  value?: string
  spent?: number
  limit?: number
  remaining?: number
  /** What the calls that have begun and not ended will probably cost. */
  in_flight_estimate?: number
  since?: string
  resets_at?: string
  /** How long ago the newest telemetry was taken in. */
  age_ms?: number
}

/** How much may be spent, in what time and on what. */
export interface Budget {
  name: string
  per: 'hour' | 'day' | 'month' | 'run' | 'total'
  limit_usd: number
  warn_at: number
  hard: boolean
  match?: Record<string, string[]>
  each?: string
  windows: Verdict[]
}

export interface Budgets {
  now?: string
  budgets: Budget[]
}

/** What became of events that were sent. */
export interface Accepted {
  accepted: number
  rejected?: { index: number; error: string }[]
}

/** An event as it may be sent: a name, and whatever the catalogue asks for beside it. */
export interface NewEvent {
  name: string
  type?: EventType
  data?: Record<string, unknown>
  [field: string]: unknown
}
