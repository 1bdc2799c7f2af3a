// All that can be done with a mouse can be done without one.
import assert from "node:assert/strict";
import { isSound, open, sees, withBrowser } from "./browser.mjs";

await withBrowser(async (browser) => {
  const page = await open(browser);
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  // What is pressed before a run's screen is there is pressed in vain.
  const isShown = async () => {
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await page.waitForSelector("#tab-agents");
  };
  const isAt = (path) => page.waitForFunction((path) => window.location.pathname === path, path);

  await press("g", "c");
  await isAt("/cost");
  await press("g", "h");
  await isAt("/health");
  await press("g", "r");
  await isAt("/runs");

  await press("?");
  await sees(page, "dialog[open]", "Keyboard");
  await isSound(page, "help");
  await press("Escape");
  await page.waitForSelector("dialog", { state: "detached" });

  await sees(page, ".runlist .row", "write-test");
  await press("/");
  await page.keyboard.type("write-test");
  await page.waitForFunction(() => window.location.search.includes("q=write-test"));
  await press("Escape");
  // What is chosen in a list that is about to be another is chosen no more.
  await page.waitForFunction(() => {
    const rows = [...document.querySelectorAll(".runlist .row:not(.head)")];
    return rows.length > 0 && rows.every((row) => row.textContent.includes("write-test"));
  });
  await press("j", "j", "k");
  const first = await page.locator(".runlist .row").nth(1).getAttribute("data-run");
  await page.waitForSelector(`.row.selected[data-run="${first}"]`);
  await press("Enter");
  await isAt(`/runs/${first}`);
  await isShown();

  await press("2");
  await sees(page, ".line.workflow", "write-test");
  await press("j");
  await page.waitForSelector('.line.selected[aria-level="1"][aria-expanded="true"]');
  const rows = () => page.locator(".line").count();
  assert.ok((await rows()) > 5);
  await press("ArrowLeft");
  await page.waitForFunction(() => document.querySelectorAll(".line").length === 1);
  await press("ArrowRight");
  await page.waitForFunction(() => document.querySelectorAll(".line").length > 5);
  await press("ArrowRight");
  await page.waitForSelector('.line.selected[aria-level="2"]');
  await sees(page, ".detail h2", "plan");
  await timeIsChosen(page, press);
  await press("Escape");
  await page.waitForSelector(".detail", { state: "detached" });

  await page.focus("#tab-timeline");
  await press("ArrowRight");
  await page.waitForSelector('#tab-agents[aria-selected="true"]:focus');
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "what has the focus is seen");

  await press("]");
  await page.waitForFunction((first) => !window.location.pathname.endsWith(first), first);
  await isShown();
  await press("[");
  await isAt(`/runs/${first}`);

  await press("t");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
  await press("t");
  await page.reload();
  await page.waitForSelector("main .screen");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  assert.deepEqual(page.wrong, []);
});

/** Closer, on, and back to all of it. */
async function timeIsChosen(page, press) {
  const shown = (fits) => page.waitForFunction((fits) => new RegExp(fits).test(new URLSearchParams(window.location.search).get("time") ?? "all"), fits);
  const rows = await page.locator(".line").count();
  await press("z");
  await shown("^[\\d.]+-[\\d.]+$");
  await sees(page, ".overview output", ` of `);
  assert.ok((await page.locator(".line").count()) < rows, "what was at another time is not shown");
  const before = new URL(page.url()).searchParams.get("time");
  await press("Shift+ArrowRight");
  await page.waitForFunction((before) => !window.location.search.includes(before), before);
  await press("0");
  await shown("^all$");
  await page.focus('[role=slider][aria-label="Shown from"]');
  await press("ArrowRight", "ArrowRight");
  await shown("^[\\d.]+-");
  await isSound(page, "a part of the timeline");
  await press("-", "-");
  await shown("^all$");
}
