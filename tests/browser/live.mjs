// Nothing at first, then agents at work: seen without a reload, paused and gone on with.
import assert from "node:assert/strict";
import { OTLP, PAGE, goTo, isSound, open, sees, send, withBrowser } from "./browser.mjs";

const trace_id = "0af7651916cd43dd8448eb211c80319c";
const at = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();
const event = (name, span, more = {}) => ({ name, trace_id, span_id: span, timestamp: at(0), ...more });
const AGENT = "00000000000000a1";
const TOOL = "00000000000000b1";

await withBrowser(async (browser) => {
  const page = await open(browser);
  await sees(page, "h1", "Nothing has arrived yet");
  await sees(page, ".snippet", `OTEL_EXPORTER_OTLP_ENDPOINT=${OTLP}`);
  await sees(page, ".connection", "Live");
  await isSound(page, "the first page");

  await send(event("agent.started", AGENT, { agent: "scout", timestamp: at(-65) }), event("tool.started", TOOL, { parent_span_id: AGENT, agent: "scout", tool: "look_around" }));
  await sees(page, ".working .who", "scout");
  await sees(page, ".working .act", "look_around");
  const clock = page.locator(".working > header .clock");
  const before = await clock.textContent();
  assert.match(before, /^1:\d\d$/);
  await page.waitForFunction((before) => document.querySelector(".working > header .clock")?.textContent !== before, before);

  const other = await open(browser, { path: "/runs" });
  await sees(other, ".runlist .row", "scout");
  await other.click(".connection + button");
  await sees(other, ".connection", "Paused");
  await send(event("tool.failed", TOOL, { parent_span_id: AGENT, agent: "scout", tool: "look_around", message: "it is dark" }), event("agent.failed", AGENT, { agent: "scout", message: "lost its way" }));
  await sees(other, ".live .new", "2 new");
  assert.equal(await other.locator(".runlist .row.running").count(), 1, "what is paused stands still");
  await other.keyboard.press("p");
  await sees(other, ".runlist .row.failed", "lost its way");

  await sees(page, ".attention", "lost its way");
  await isSound(page, "now, with a failure");

  await newRunsWait(browser);
  await earlierRunsComeByFewAtATime(browser);
  await newRunsReplaceAllThatWereKnown(browser);
  await theDemonstrationBegins(browser);
  assert.deepEqual([...page.wrong, ...other.wrong], []);
});

/** Whoever has chosen a row is not interrupted. */
async function newRunsWait(browser) {
  const page = await open(browser, { path: "/runs" });
  await sees(page, ".runlist .row", "scout");
  await page.keyboard.press("j");
  await page.waitForSelector(".runlist .row.selected");
  await send({ name: "agent.started", execution_id: "second", agent: "newcomer", timestamp: at(0) });
  await sees(page, ".pill", "1 new run");
  assert.equal(await page.locator(".runlist .row", { hasText: "newcomer" }).count(), 0);
  await page.click(".pill");
  await sees(page, ".runlist .row", "newcomer");
  assert.deepEqual(page.wrong, []);
}

/** Where others keep the disk busy, an answer may have no runs, only where to look on. */
async function earlierRunsComeByFewAtATime(browser) {
  const answers = {
    "": { runs: listed(1000, 100), next: "a" },
    a: { runs: [], next: "b" },
    b: { runs: [], next: "c" },
    c: { runs: listed(500, 1), next: null },
  };
  const page = await answering(browser, (cursor) => answers[cursor]);
  await page.evaluate(() => document.querySelector("main").scrollTo(0, 1e6));
  await sees(page, ".runlist .row", "run 500");
  assert.deepEqual(page.wrong, []);
}

/** A row is chosen, so new runs wait; but if they are all that the collector still tells of, they are shown. */
async function newRunsReplaceAllThatWereKnown(browser) {
  let first = 1000;
  const page = await answering(browser, () => ({ runs: listed(first, 100), next: null }));
  await page.keyboard.press("j");
  await page.waitForSelector(".runlist .row.selected");
  first = 2000;
  await sees(page, ".runlist .row", "run 2000");
  assert.deepEqual(page.wrong, []);
}

/** The list of runs, where the API answers as told for each cursor. */
async function answering(browser, answer) {
  const page = await open(browser, { path: "/health" });
  await page.route("**/api/v1/runs?*", (route) => {
    const cursor = new URL(route.request().url()).searchParams.get("cursor") ?? "";
    return route.fulfill({ json: answer(cursor) });
  });
  await goTo(page, "/runs");
  await sees(page, ".runlist .row", "run 1000");
  return page;
}

/** Runs as the API lists them, from a number down. */
function listed(first, count) {
  const run = (number) => ({
    id: `r${number}`,
    name: `run ${number}`,
    status: "completed",
    started_at: new Date(Date.UTC(2026, 0, 1, 0, 0, number)).toISOString(),
    duration_ms: 5,
    agents: [],
    figures: {},
  });
  return Array.from({ length: count }, (_, index) => run(first - index));
}

/** A second performance has to wait for the end of the first. */
async function theDemonstrationBegins(browser) {
  const begin = () => fetch(`${PAGE}/api/v1/demo`, { method: "POST" });
  assert.equal((await fetch(`${PAGE}/api/v1/demo`, { method: "POST", headers: { origin: "http://evil.example" } })).status, 403);
  assert.equal((await begin()).status, 202);
  assert.equal((await begin()).status, 409);
  const page = await open(browser);
  await sees(page, ".working .who", "planner");
}
