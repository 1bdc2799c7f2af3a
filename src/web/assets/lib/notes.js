// What events tell beside the lives of spans, in a few words. Nothing here touches the page.
import { words } from "./format.js";

/** @typedef {import("./api.js").DomainEvent} DomainEvent */

/** @type {Record<string, (event: DomainEvent) => string>} */
const NOTES = {
  "agent.collaborated": ({ data, agent }) => `${data?.primary_agent ?? agent ?? "An agent"} worked together with ${list(data?.collaborating_agents)}`,
  "agent.decided": ({ data }) => `Decided: ${words(data?.decision ?? "something")}`,
  "agent.handed_off": ({ data }) => `${data?.from ?? "The agent"} handed off to ${data?.to ?? "another"}`,
  "budget.exceeded": ({ data }) => `Budget ${data?.budget ?? ""} exceeded`,
  "budget.warning": ({ data }) => `Budget ${data?.budget ?? ""} is nearly spent`,
  "hitl.escalated": ({ data }) => `Escalated to a person${data?.priority ? `, priority ${data.priority}` : ""}`,
  "hitl.resolved": ({ data }) => `A person decided: ${words(data?.decision ?? "resolved")}`,
  "memory.accessed": ({ data }) => `Looked up ${data?.key ?? "something"} in memory${data?.hit === false ? ", in vain" : ""}`,
  "review.decided": ({ data, agent }) => `${data?.reviewer ?? agent ?? "A reviewer"}: ${words(data?.decision ?? "decided")}${data?.target ? ` (${data.target})` : ""}`,
  "system.progress": ({ data }) => (data?.call_count ? "Goes round in circles" : "Noticed"),
  "task.queued": () => "Task queued",
  "validation.completed": ({ status }) => (status === "failed" ? "Validation failed" : "Validation passed"),
};
const BAD = new Set(["rejected", "revise", "timed_out"]);

/**
 * What an event says, if it is more than that work began, goes on or ended.
 * @param {DomainEvent} event
 */
export function noteOf(event) {
  return NOTES[event.name]?.(event);
}

/**
 * Whether what an event says is bad news.
 * @param {DomainEvent} event
 */
export function isBad(event) {
  return event.status === "failed" || BAD.has(event.data?.decision) || (event.name === "system.progress" && event.data?.call_count > 0);
}

function list(names) {
  return Array.isArray(names) && names.length > 0 ? names.join(", ") : "others";
}
