// A page of the collector in Chromium, and an eye on all that must never happen in it.
//
// Where the collector is, is said by the environment: PAGE and OTLP. The packages are those of the working directory.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const packages = createRequire(`${process.cwd()}/`);
const { chromium } = packages("playwright-core");
const axe = readFileSync(packages.resolve("axe-core/axe.min.js"), "utf8");

export const PAGE = process.env.PAGE;
export const OTLP = process.env.OTLP;

/** Runs a script in a browser of its own. */
export async function withBrowser(script) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    await script(browser);
  } finally {
    await browser.close();
  }
}

/** A page in which anything wrong is written down. */
export async function open(browser, { theme = "light", phone = false, path = "/" } = {}) {
  const viewport = phone ? { width: 390, height: 844 } : { width: 1440, height: 900 };
  const context = await browser.newContext({ viewport, colorScheme: theme, reducedMotion: "reduce" });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`error: ${error.stack}`));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== PAGE && protocol !== "data:") wrong.push(`request to elsewhere: ${request.url()}`);
  });
  await page.exposeFunction("writeDownViolation", (text) => wrong.push(`content security policy: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      window.writeDownViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`),
    );
  });
  page.wrong = wrong;
  await page.goto(PAGE + path);
  await page.waitForSelector("main .screen");
  return page;
}

/** Goes to a place as the page itself does, which is much quicker than loading it again. */
export function goTo(page, path) {
  return page.evaluate((path) => {
    window.history.pushState(null, "", path);
    window.dispatchEvent(new PopStateEvent("popstate"));
  }, path);
}

/** What is on the page is sound: nothing is wider than the window, nothing went wrong, and axe finds nothing. */
export async function isSound(page, what, { audit = true } = {}) {
  const widths = await page.evaluate(() => [document.documentElement, document.querySelector("main")].map((one) => one.scrollWidth - one.clientWidth));
  assert.deepEqual(widths, [0, 0], `${what} is wider than the window`);
  assert.deepEqual(page.wrong, [], what);
  if (!audit) return;
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const violations = found.violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.slice(0, 4).map(({ html, any }) => `${html.slice(0, 200)} ${any[0]?.message ?? ""}`).join("\n  ")}`);
  assert.equal(violations.length, 0, `${what}:\n${violations.join("\n")}`);
}

/** Asks the collector. */
export async function get(path) {
  const response = await fetch(PAGE + path);
  assert.equal(response.status, 200, path);
  return response.json();
}

/** Sends events to the collector, which must take them all. */
export async function send(...events) {
  const response = await fetch(`${PAGE}/v1/events`, { method: "POST", body: JSON.stringify(events) });
  const answer = await response.json();
  assert.deepEqual([response.status, answer.accepted, answer.rejected], [200, events.length, undefined], JSON.stringify(answer));
}

/** Waits until an element has a text. */
export async function sees(page, selector, text) {
  await page.locator(selector).filter({ hasText: text }).first().waitFor({ state: "visible", timeout: 15000 });
}
