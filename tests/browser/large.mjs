// A run of 10,000 spans, 5,000 runs, a long prompt: only what is seen is there, and nothing keeps the page from anything
// else for long. What counts here is computing, because the machine may have other work; `cargo bench --bench page` has
// the figures that people notice.
import assert from "node:assert/strict";
import { goTo, open, sees, withBrowser } from "./browser.mjs";
import { longTexts, runOf, runs } from "./scenes.mjs";
import { longestTask, scroll, timeToPaint } from "./timing.mjs";

const SPANS = "0cf7651916cd43dd8448eb211c80319c";
const TEXTS = "0df7651916cd43dd8448eb211c80319c";
/** Milliseconds; some five times of what it takes. */
const MOST = 200;

await runOf(10_000, SPANS);
await longTexts(TEXTS, 200_000);
await withBrowser(async (browser) => {
  const page = await open(browser, { path: "/health" });
  const noted = {};
  const measured = async (what, act) => {
    const { outcome, computed } = await longestTask(browser, page, act);
    noted[what] = computed;
    assert.ok(computed < MOST, `${what}: a task of ${computed} ms`);
    return outcome;
  };
  const isThere = async (selector, most) => assert.ok((await page.locator(selector).count()) < most, `${selector}: what is not seen is not there`);

  const asked = { asked: `/api/v1/runs/${SPANS}`, shown: ".line" };
  await measured("timeline", () => timeToPaint(page, `/runs/${SPANS}?part=timeline`, asked));
  await sees(page, ".tabs .count", "10,000");
  await isThere(".line", 100);
  await measured("timeline, scrolled", () => scroll(page, 200));
  await sees(page, ".line", "tool 9998");
  await page.keyboard.press("End");
  await sees(page, ".detail h2", "tool");

  await goTo(page, `/runs/${TEXTS}`);
  await sees(page, ".entry", "the quick brown fox");
  await measured("a long text", () => page.locator("button", { hasText: "Show all" }).first().click());
  assert.ok((await page.locator(".value .piece").count()) > 10);

  await runs(5_000);
  await goTo(page, "/runs");
  await sees(page, ".runlist .row", "agent");
  await measured("runs, scrolled", async () => {
    while (!(await page.locator(".runlist .row", { hasText: "it did not work in run 0" }).count())) await scroll(page, 20);
  });
  await isThere(".runlist .row", 100);
  console.log(JSON.stringify(noted));
  assert.deepEqual(page.wrong, []);
});
