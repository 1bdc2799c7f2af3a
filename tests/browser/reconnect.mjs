// The collector goes away and comes back: the page says so, and then shows what is new.
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { open, sees, send, withBrowser } from "./browser.mjs";

const heard = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const agent = (agent) => ({ name: "agent.started", execution_id: `run of ${agent}`, agent });

await withBrowser(async (browser) => {
  const page = await open(browser, { path: "/runs" });
  await sees(page, ".connection", "Live");
  await send(agent("first"));
  await sees(page, ".runlist .row", "first");
  console.log("stop the collector");
  assert.equal((await heard.next()).value, "stopped");
  await sees(page, ".connection.offline", "Reconnecting");
  await sees(page, ".runlist .row", "first");
  console.log("start the collector");
  assert.equal((await heard.next()).value, "started");
  await sees(page, ".connection.live", "Live");
  await send(agent("second"));
  await sees(page, ".runlist .row", "second");
  // While nobody answers, the browser itself complains; the page has to live with it.
  assert.deepEqual(page.wrong.filter((text) => !/ERR_CONNECTION|WebSocket connection/.test(text)), []);
});
