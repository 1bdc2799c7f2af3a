/** What kind of component an event speaks of. */
export type Scope = 'workflow' | 'workflow_step' | 'agent' | 'llm_request' | 'tool' | 'system'

/** Where in the component's life it stands. */
export type EventType = 'started' | 'progress' | 'completed' | 'failed' | 'canceled'

/** The component's state after it. */
export type Status = 'pending' | 'running' | 'completed' | 'failed' | 'canceled' | 'lost'

/** The names of the catalogue. Any other dotted name is an event of somebody's own. */
export type EventName =
  | `${'workflow' | 'step' | 'agent' | 'llm' | 'tool'}.${EventType}`
  | 'workflow.paused'
  | 'workflow.resumed'
  | 'workflow.saved'
  | 'task.queued'
  | `agent.${'spawned' | 'activated' | 'deactivated' | 'optimized' | 'collaborated' | 'decided' | 'handed_off'}`
  | 'memory.accessed'
  | 'knowledge.accessed'
  | 'knowledge.updated'
  | 'hypothesis.formed'
  | 'review.decided'
  | 'quality.checked'
  | 'validation.completed'
  | 'hitl.escalated'
  | 'hitl.resolved'
  | 'budget.warning'
  | 'budget.exceeded'
  | 'pattern.discovered'
  | 'improvement.applied'
  | 'optimization.completed'
  | 'feedback.received'
  | 'command.executed'
  | 'performance.alert'
  | 'error.recovered'
  | 'health.checked'
  | 'system.progress'
  | (string & {})

/** Figures of an event. What is not known is absent, never 0. */
export interface Performance {
  /** Milliseconds that the work took. */
  duration_ms?: number
  /** US dollars. */
  cost_usd?: number
  /** Tokens read, cached ones included. */
  input_tokens?: number
  /** Tokens written, reasoning included. */
  output_tokens?: number
  cache_read_tokens?: number
  cache_write_tokens?: number
  reasoning_tokens?: number
  /** Milliseconds until the first piece of the answer. */
  ttft_ms?: number
  success?: boolean
  /** From 0 to 1. */
  confidence?: number
}

/** How an event came to the collector. */
export interface Source {
  kind: string
  dialect?: string
  instance?: string
  service?: string
}

/** Something that happened in the life of an agent's work. What is not known is absent. */
export interface SpanlightEvent {
  /** The same fact has the same id, wherever it is told. */
  event_id: string
  /** `subject.verb` */
  name: EventName
  scope: Scope
  type: EventType
  status: Status
  /** `agent`, `agent:llm:N`, `tool`, `workflow:step:N` … */
  component_id: string
  /** When it happened: RFC 3339, UTC, with microseconds. */
  timestamp: string
  /** When the collector saw it. */
  observed_at: string
  /** Text for people; always there on failures. */
  message?: string
  trace_id?: string
  span_id?: string
  parent_span_id?: string
  workflow_id?: string
  parent_workflow_id?: string
  /** What is one from end to end. */
  execution_id?: string
  conversation_id?: string
  session_id?: string
  user_id?: string
  correlation_id?: string
  task_id?: string
  feature?: string
  agent?: string
  model?: string
  provider?: string
  tool?: string
  /** From 1, most urgent, to 10; 5 where it is absent. */
  priority?: number
  /** Seconds after which it is not worth delivering. */
  ttl_s?: number
  tags?: string[]
  performance?: Performance
  /** What else there is to say, by the catalogue. */
  data?: Record<string, unknown>
  source: Source
}

/** The run that an event belongs to: the one it names, else its trace. */
export function executionOf(event: SpanlightEvent): string | undefined {
  return event.execution_id ?? event.trace_id
}

type Values<T> = T | readonly T[]

/** Which events are wanted: within a field any value fits, across fields all must. */
export interface Filter {
  scope?: Values<Scope>
  type?: Values<EventType>
  status?: Values<Status>
  /** May end in `*`. */
  name?: Values<EventName>
  agent?: Values<string>
  feature?: Values<string>
  model?: Values<string>
  tool?: Values<string>
  task?: Values<string>
  /** Ids of runs. */
  execution?: Values<string>
  conversation?: Values<string>
  user?: Values<string>
  tag?: Values<string>
  /** 3 takes priorities 1 to 3. */
  min_priority?: number
  /** RFC 3339, or an age such as `15m`. */
  since?: string
  until?: string
  /** Any text in the event. */
  q?: string
}

/** The fields of a filter, or of anything else that is asked for in a URL, as its query. */
export function appendQuery(query: URLSearchParams, fields: object): void {
  for (const [field, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) query.append(field, String(one))
    }
  }
}
