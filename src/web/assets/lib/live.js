// Events as they happen: one WebSocket for the page, which resumes where it broke off. It is no EventSource, because
// browsers allow six of those at a time, in all tabs together.
import { store } from "./store.js";
import { denied, token } from "./token.js";

/**
 * How the page is connected. `missed` counts events that left the collector's memory while it was not.
 * @typedef {{phase: "connecting" | "live" | "offline", since: number, missed: number}} Connection
 */

/** @type {import("./store.js").Store<Connection>} */
export const connection = store({ phase: "connecting", since: Date.now(), missed: 0 });
/** Whether what is shown stays as it is. */
export const paused = store(false);
/** Events that came while it did. */
export const waiting = store(0);

const FIRST_RETRY = 250;
const LONGEST_RETRY = 5000;
/** @type {Set<(events: import("./api.js").DomainEvent[]) => void>} */
const listeners = new Set();
/** @type {import("./api.js").DomainEvent[]} */
let heard = [];
let delivery = 0;
let retry = FIRST_RETRY;
/** The place of the last event, and the epoch of the collector's that counts them. */
let place = { epoch: "", offset: -1 };

/**
 * Hears events in small batches. An empty batch says that something may have changed without one.
 * @param {(events: import("./api.js").DomainEvent[]) => void} listener
 * @returns {() => void} ends it
 */
export function onEvents(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Lets what is shown stay as it is, or go on. */
export function togglePause() {
  paused.set(!paused.get());
  if (!paused.get()) {
    waiting.set(0);
    deliver([]);
  }
}

/** Connects, and again whenever the connection breaks. */
export function connect() {
  if (denied.get()) {
    const deaf = denied.listen(() => {
      deaf();
      connect();
    });
    return;
  }
  const scheme = window.location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${window.location.host}/ws`);
  // Without a greeting nobody is let in who has to say who they are; and it says where to go on.
  socket.onopen = () => {
    const from = place.offset >= 0 ? { resume_from: place.offset } : {};
    const known = place.epoch === "" ? {} : { epoch: place.epoch, ...from };
    const who = token.get() ? { token: token.get() } : {};
    socket.send(JSON.stringify({ type: "hello", ...who, ...known }));
  };
  socket.onmessage = (message) => receive(JSON.parse(message.data));
  socket.onclose = () => {
    say("offline");
    // Not all pages at the same moment.
    window.setTimeout(connect, retry * (0.75 + Math.random() / 2));
    retry = Math.min(retry * 2, LONGEST_RETRY);
  };
}

function receive(message) {
  switch (message.type) {
    case "connection_established": {
      const isAgain = place.epoch !== "";
      if (place.epoch !== message.epoch) place = { epoch: message.epoch, offset: isAgain ? -1 : (message.offset ?? -1) };
      retry = FIRST_RETRY;
      say("live");
      if (isAgain) deliver([]);
      return;
    }
    case "event":
      place.offset = Math.max(place.offset, message.offset);
      hear(message.event);
      return;
    case "gap":
      if (message.from < message.to) say("live", message.to - message.from);
      return;
  }
}

function say(phase, missed = 0) {
  const before = connection.get();
  if (before.phase === phase && missed === 0) return;
  connection.set({ phase, since: before.phase === phase ? before.since : Date.now(), missed: before.missed + missed });
}

function hear(event) {
  if (paused.get()) {
    waiting.set(waiting.get() + 1);
    return;
  }
  heard.push(event);
  // Hidden pages get no animation frames; a timer they do.
  delivery ||= window.setTimeout(() => {
    delivery = 0;
    const events = heard;
    heard = [];
    deliver(events);
  }, 30);
}

function deliver(events) {
  for (const listener of [...listeners]) listener(events);
}
