// Where the collector wants to know who is there, the page asks, and then goes on as everywhere.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { PAGE, goTo, isSound, open, sees, withBrowser } from "./browser.mjs";

const send = async (agent, more = {}) => {
  const headers = { authorization: "Bearer open sesame" };
  const body = JSON.stringify({ name: "agent.started", execution_id: `run of ${agent}`, agent, ...more });
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
  await whoSeesTheirOwn(browser);
});

/** What a token does not show is said, and nobody is refused again and again. */
async function whoSeesTheirOwn(browser) {
  await send("writer", { user_id: "dana" });
  await send("writer", { user_id: "dana", name: "llm.completed", model: "m", cost_usd: 0.25 });
  const page = await open(browser, { path: "/cost" });
  await sees(page, "h1", "Who is there?");
  await page.fill("input[name=token]", tokenOf({ sub: "dana" }));
  await page.keyboard.press("Enter");
  await sees(page, ".costs .quiet-note", "that your token may see");
  await sees(page, ".costs .fact.lead", "$0.25");
  await isSeenCalmly(page, "cost of one's own");
  await goTo(page, "/");
  await sees(page, ".working .who", "writer");
  await isSeenCalmly(page, "now of one's own");
  let refused = 0;
  page.on("response", (response) => (refused += response.status() === 403));
  await goTo(page, "/health");
  await sees(page, ".banner", "The collector is ready");
  await sees(page, ".state", "adds up everybody's work");
  await isSeenCalmly(page, "health, which is everybody's");
  assert.equal(refused, 1, "who was refused does not ask again");
}

/** A browser writes down what it was refused; nothing else may be wrong. */
async function isSeenCalmly(page, what) {
  page.wrong.splice(0, Infinity, ...page.wrong.filter((text) => !/40[13]|WebSocket/.test(text)));
  await isSound(page, what);
}

function tokenOf(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const said = `${part({ alg: "HS256" })}.${part({ ...claims, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
  return `${said}.${createHmac("sha256", "a secret that has thirty-two bytes").update(said).digest("base64url")}`;
}
