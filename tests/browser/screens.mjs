// Every screen with what emitters really send, in light and dark, on a desk and on a phone.
import assert from "node:assert/strict";
import { get, goTo, isSound, open, sees, withBrowser } from "./browser.mjs";

const { runs } = await get("/api/v1/runs?limit=1000");
const told = runs.find((run) => run.service === "spanlight-demo" && run.status === "failed");
const agents = runs.find((run) => run.name === "team");
const { tree } = await get(`/api/v1/runs/${told.id}`);
const failed = find(tree, (node) => node.scope === "tool" && node.status === "failed");

const SCREENS = [
  ["/", "h2", "Latest"],
  ["/runs", ".of-name", "write-test"],
  ["/runs?status=failed&q=write", ".of-name", "write-test"],
  ["/runs?q=nobody-is-called-so", ".state", "No run fits."],
  [`/runs/${told.id}`, ".message.assistant", "First, open"],
  [`/runs/${told.id}?part=timeline`, ".line.agent", "writer"],
  [`/runs/${told.id}?part=timeline&span=${failed.span_id}`, ".detail .attributes", "gen_ai.operation.name"],
  [`/runs/${told.id}?part=agents`, ".agentcard", "critic"],
  [`/runs/${told.id}?part=agents&view=lanes`, ".lanerow", "validator"],
  [`/runs/${told.id}?part=events&find=tool.failed`, ".eventrow", "tool.failed"],
  [`/runs/${told.id}?part=cost`, ".callrow", "claude-sonnet-4-5"],
  [`/runs/${agents.id}?part=agents`, ".agentcard", "supervisor"],
  [`/runs/${agents.id}`, ".entry", "add things"],
  ["/runs/0000", ".state", "This run is not known"],
  ["/cost", ".costlist", told.feature],
  [`/cost?by=model&row=gpt-5`, ".explanation", "per million"],
  ["/cost?by=day&window=all", ".costlist", "20"],
  ["/health", "#listening", "Taken in"],
];

await withBrowser(async (browser) => {
  for (const [theme, phone] of [["light", false], ["dark", false], ["light", true], ["dark", true]]) {
    const page = await open(browser, { theme, phone });
    for (const [path, selector, text] of SCREENS) {
      await goTo(page, path);
      await sees(page, selector, text);
      if (path.includes("/runs/0000")) page.wrong.splice(0, Infinity);
      // Of colours, a phone has the same as a desk.
      await isSound(page, `${path}, ${theme}${phone ? ", phone" : ""}`, { audit: !(phone && theme === "dark") });
    }
    await page.context().close();
  }
  await theAddressIsTheState(browser);
  await whatIsNotThereIsSound(browser, ".state.loading", () => {});
  await whatIsNotThereIsSound(browser, ".state.failure", (route) => route.fulfill({ status: 503, body: "busy" }));
});

/** Whoever is sent an address sees the same. */
async function theAddressIsTheState(browser) {
  const page = await open(browser, { path: `/runs/${told.id}?part=timeline&span=${failed.span_id}` });
  await sees(page, ".detail h2", failed.name);
  await page.click(`.line.selected`);
  await page.waitForFunction(() => !window.location.search.includes("span="));
  const strip = await page.locator(".strip").boundingBox();
  const y = strip.y + 5;
  await page.mouse.move(strip.x + strip.width * 0.5, y);
  await page.mouse.down();
  await page.mouse.move(strip.x + strip.width * 0.75, y, { steps: 3 });
  await page.mouse.up();
  await page.waitForFunction(() => window.location.search.includes("time="));
  await page.reload();
  await sees(page, ".overview output", " of ");
  await page.dblclick(".strip", { position: { x: 20, y: 5 } });
  await page.waitForFunction(() => !window.location.search.includes("time="));
  await page.click('a[role="tab"]:has-text("Agents")');
  await sees(page, ".agentcard", "planner");
  await page.goBack();
  await sees(page, ".line", "write-test");
  await page.reload();
  await sees(page, ".line", "write-test");
  assert.deepEqual(page.wrong, []);
}

/** A screen has its heading and all else while its answers have not come, and where they cannot be had. */
async function whatIsNotThereIsSound(browser, state, answer) {
  const page = await open(browser, { path: "/runs" });
  await page.route("**/api/v1/**", answer);
  const places = [["/", "Now"], [`/runs/${told.id}`, "Run"], ["/cost", "Cost"], ["/health", "Health"]];
  for (const [path, heading] of places) {
    await goTo(page, path);
    await sees(page, "h1", heading);
    await page.locator(state).first().waitFor({ state: "attached" });
    // That an answer was an error, the console says by itself.
    page.wrong.splice(0, Infinity);
    await isSound(page, `${path} in the state ${state}`);
  }
  await goTo(page, "/nowhere");
  await sees(page, "h1", "Page");
  await isSound(page, "a place that there is not");
  await page.context().close();
}

function find(nodes, fits) {
  for (const node of nodes) {
    const found = fits(node) ? node : find(node.children ?? [], fits);
    if (found) return found;
  }
  return null;
}
