import type { Filter, SpanlightEvent } from './event.js'
import type { Gap, OffsetEvent, Summary, SummaryRow } from './answers.js'

/** Kinds of events that one may subscribe to by name. */
export type Topic =
  | 'all_events'
  | 'agent_activity'
  | 'agent_performance'
  | 'workflows'
  | 'llm_calls'
  | 'tool_usage'
  | 'collaboration'
  | 'decisions'
  | 'memory'
  | 'human'
  | 'budgets'
  | 'errors'

/** What the collector says over a WebSocket. */
export type ServerMessage =
  | Established
  | { type: 'event' | 'stream_event'; offset: number; event: SpanlightEvent }
  | ({ type: 'gap' } & Gap)
  | Confirmed
  | Unsubscribed
  | Narrowed
  | Recent
  | Pong
  | Summed
  | Complaint

/** The first message. */
export interface Established {
  type: 'connection_established'
  connection_id: string
  server_time: string
  /** Offsets count within an epoch; a restart of the collector may begin another. */
  epoch: string
  /** That of the last event before; absent if there was none. */
  offset?: number
  available_subscriptions: Topic[]
  agent_filter: string[]
  performance_threshold?: number
  limits: Limits
}

/** What a client may do. */
export interface Limits {
  connections: number
  message_bytes: number
  messages_per_minute: number
  recent_events: number
  heartbeat_seconds: number
  silence_seconds: number
}

/** A subscription is in force. */
export interface Confirmed {
  type: 'subscription_confirmed'
  execution_id?: string
  conversation_id?: string
  subscription?: Topic
  filter?: Filter
  /** From this offset on its events follow, but for those that come first. */
  next: number
  /** So many come first. */
  replayed?: number
}

/** A subscription is no more; without a name, none is. */
export interface Unsubscribed {
  type: 'unsubscription_confirmed'
  execution_id?: string
  conversation_id?: string
  subscription?: Topic
}

/** What is in force now. */
export interface Narrowed {
  type: 'filter_updated'
  subscriptions: Topic[]
  agent_filter: string[]
  performance_threshold?: number
}

/** The last events that fit. */
export interface Recent {
  type: 'recent_events'
  epoch: string
  events: OffsetEvent[]
}

export interface Pong {
  type: 'pong'
  server_time: string
}

/** How agents fare. */
export interface Summed {
  type: 'performance_summary'
  server_time: string
  window: string
  summary: Summary
  rows: SummaryRow[]
}

/** What could not be done. */
export interface Complaint {
  type: 'error'
  code:
    | 'unknown_type'
    | 'invalid_message'
    | 'invalid_filter'
    | 'unknown_subscription'
    | 'forbidden'
    | 'unauthorized'
    | (string & {})
  message: string
}

/** What a client says over a WebSocket. */
export type ClientMessage =
  | {
      type: 'hello'
      token?: string
      resume_from?: number
      epoch?: string
      envelope?: 'event' | 'stream_event' | 'bare'
      subscriptions?: Topic[]
      filter?: Filter
      agent_filter?: string[]
      performance_threshold?: number
    }
  | {
      type: 'subscribe'
      execution_id?: string
      conversation_id?: string
      subscription?: Topic
      filter?: Filter
      replay?: number
    }
  | { type: 'unsubscribe'; execution_id?: string; conversation_id?: string; subscription?: Topic }
  | {
      type: 'filter_update'
      filter?: Filter
      agent_filter?: string[]
      performance_threshold?: number
      subscriptions?: Topic[]
    }
  | { type: 'get_recent'; limit?: number; event_types?: string[] }
  | { type: 'ping' }
