// Where the collector wants to know who is there, the page asks, and then goes on as everywhere.
import assert from "node:assert/strict";
import { PAGE, isSound, open, sees, withBrowser } from "./browser.mjs";

const send = async (agent) => {
  const headers = { authorization: "Bearer open sesame" };
  const body = JSON.stringify({ name: "agent.started", execution_id: `run of ${agent}`, agent });
  assert.equal((await fetch(`${PAGE}/v1/events`, { method: "POST", headers, body })).status, 200);
};

await withBrowser(async (browser) => {
  const page = await open(browser, { path: "/runs" });
  await sees(page, "h1", "Who is there?");
  page.wrong.splice(0, Infinity);
  await isSound(page, "the door");
  await page.fill("input[name=token]", "let me in");
  await page.keyboard.press("Enter");
  await sees(page, ".hint", "The collector says");
  await page.fill("input[name=token]", "open sesame");
  await page.keyboard.press("Enter");
  await sees(page, ".connection.live", "Live");
  await send("guest");
  await sees(page, ".runlist .row", "guest");
  await page.reload();
  await sees(page, ".runlist .row", "guest");
  await sees(page, ".connection.live", "Live");
  await send("second");
  await sees(page, ".runlist .row", "second");
  // Browsers themselves write down every refusal.
  assert.deepEqual(page.wrong.filter((text) => !/401|WebSocket/.test(text)), []);
});
