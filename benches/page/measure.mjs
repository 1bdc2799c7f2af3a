// What people notice of much to look at. The packages are those of the working directory, the scenes those of the tests.
import { goTo, open, sees, withBrowser } from "../../tests/browser/browser.mjs";
import { runOf, runs } from "../../tests/browser/scenes.mjs";
import { longestTask, scroll, timeToPaint } from "../../tests/browser/timing.mjs";

const RUN = "0cf7651916cd43dd8448eb211c80319c";
const ROUNDS = 20;

await runOf(10_000, RUN);
await runs(5_000);
await withBrowser(async (browser) => {
  const page = await open(browser, { path: "/health" });
  const rows = { fromAnswer: [], fromClick: [], opening: [], openingCpu: [], scrolling: [], scrollingCpu: [], frames: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    const asked = { asked: `/api/v1/runs/${RUN}`, shown: ".line" };
    const opened = await longestTask(browser, page, () => timeToPaint(page, `/runs/${RUN}?part=timeline`, asked));
    await sees(page, ".tabs .count", "10,000");
    const scrolled = await longestTask(browser, page, () => scroll(page, 200));
    rows.fromAnswer.push(opened.outcome.fromAnswer);
    rows.fromClick.push(opened.outcome.fromClick);
    rows.opening.push(opened.lasted);
    rows.openingCpu.push(opened.computed);
    rows.scrolling.push(scrolled.lasted);
    rows.scrollingCpu.push(scrolled.computed);
    rows.frames.push(...scrolled.outcome);
    await goTo(page, "/health");
    await sees(page, "#listening", "Taken in");
  }
  console.log(`${"ms".padEnd(64)} ${["p50", "p90", "most"].map((word) => word.padStart(8)).join("")}`);
  print("10,000 spans: from the answer of the API to paint", rows.fromAnswer);
  print("10,000 spans: from a click to paint, the collector's part included", rows.fromClick);
  print("the longest task while it opens", rows.opening);
  print("  of that, computing", rows.openingCpu);
  print("the longest task while it is scrolled, 1500 pixels a frame", rows.scrolling);
  print("  of that, computing", rows.scrollingCpu);
  print("a frame while it is scrolled", rows.frames);

  await goTo(page, "/runs");
  await sees(page, ".runlist .row", "agent");
  const listed = await longestTask(browser, page, async () => {
    while (!(await page.locator(".runlist .row", { hasText: "it did not work in run 0" }).count())) await scroll(page, 50);
  });
  console.log(`5,000 runs, scrolled to the end: the longest task ${listed.lasted} ms, of which ${listed.computed} computing`);
});

function print(name, values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => sorted[Math.floor((sorted.length - 1) * share)].toFixed(1).padStart(8);
  console.log(`${name.padEnd(64)} ${at(0.5)}${at(0.9)}${at(1)}`);
}
