// A run of 10,000 spans: only what is seen is there, and it is there soon. What it took is printed.
import assert from "node:assert/strict";
import { OTLP, PAGE, get, open, sees, withBrowser } from "./browser.mjs";

const SPANS = 10_000;
const trace = "0cf7651916cd43dd8448eb211c80319c";

await feed();
await withBrowser(async (browser) => {
  const page = await open(browser, { path: "/runs" });
  await page.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
    }).observe({ type: "longtask", buffered: true });
  });
  const painted = await timeToPaint(page);
  await sees(page, ".tabs .count", "10,000");
  assert.ok((await page.locator(".line").count()) < 100, "rows that are not seen are not there");
  await page.evaluate(() => new Promise((done) => requestIdleCallback(done)));
  const loading = await page.evaluate(() => [window.longest, (window.longest = 0)][0]);
  const frames = await scroll(page);
  const scrolling = await page.evaluate(() => window.longest);
  await sees(page, ".line", "tool 9998");
  await page.keyboard.press("End");
  await sees(page, ".detail h2", "tool");
  console.log(JSON.stringify({ painted_ms: painted, longest_task_loading_ms: loading, longest_task_scrolling_ms: scrolling, frame_p95_ms: frames }));
  assert.deepEqual(page.wrong, []);
});

/** From the tree having arrived to its rows being painted. */
function timeToPaint(page) {
  return page.evaluate(async (url) => {
    const arrived = new Promise((done) => {
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (entry.name.endsWith(url)) done(entry.responseEnd);
      }).observe({ type: "resource" });
    });
    const rows = new Promise((done) => {
      const observer = new MutationObserver(() => {
        if (!document.querySelector(".line")) return;
        observer.disconnect();
        requestAnimationFrame(() => {
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = () => done(performance.now());
          port2.postMessage(null);
        });
      });
      observer.observe(document.body, { childList: true, subtree: true });
    });
    window.history.pushState(null, "", `/runs/${url.split("/").pop()}?part=timeline`);
    window.dispatchEvent(new PopStateEvent("popstate"));
    const [end, shown] = await Promise.all([arrived, rows]);
    return Math.round(shown - end);
  }, `/api/v1/runs/${trace}`);
}

/** Scrolls to the end, a page at each frame; the time between frames that 95 of 100 keep to. */
function scroll(page) {
  return page.evaluate(async () => {
    const main = document.querySelector("main");
    const times = [];
    let last = performance.now();
    for (let step = 0; step < 200; step += 1) {
      main.scrollTop += main.scrollHeight / 200;
      await new Promise(requestAnimationFrame);
      times.push(performance.now() - last);
      last = performance.now();
    }
    main.scrollTop = main.scrollHeight;
    return Math.round(times.sort((a, b) => a - b)[Math.floor(times.length * 0.95)]);
  });
}

/** Agents, each with calls of a model and of tools, below one workflow. */
async function feed() {
  const start = BigInt(Date.now() - 60_000) * 1_000_000n;
  const id = (number) => number.toString(16).padStart(16, "0");
  const text = (key, value) => ({ key, value: { stringValue: value } });
  const spans = [];
  for (let number = 1; number <= SPANS; number += 1) {
    const isAgent = number % 50 === 2;
    const agent = number - ((number - 2) % 50);
    const from = start + BigInt(number) * 5_000_000n;
    const times = { startTimeUnixNano: `${from}`, endTimeUnixNano: `${from + (isAgent ? 240_000_000n : 4_000_000n)}` };
    const work = isAgent
      ? [text("gen_ai.operation.name", "invoke_agent"), text("gen_ai.agent.name", `agent ${number % 7}`)]
      : number % 2
        ? [text("gen_ai.operation.name", "chat"), text("gen_ai.request.model", "gpt-4o"), text("gen_ai.provider.name", "openai"), { key: "gen_ai.usage.input_tokens", value: { intValue: "100" } }, { key: "gen_ai.usage.output_tokens", value: { intValue: "10" } }]
        : [text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", `tool ${number}`)];
    spans.push(
      number === 1
        ? { traceId: trace, spanId: id(1), name: "large", kind: 1, startTimeUnixNano: `${start}`, endTimeUnixNano: `${start + 51_000_000_000n}`, attributes: [text("gen_ai.operation.name", "invoke_workflow"), text("gen_ai.workflow.name", "large")] }
        : { traceId: trace, spanId: id(number), parentSpanId: id(isAgent ? 1 : agent), name: "work", kind: 1, ...times, attributes: work },
    );
  }
  const body = JSON.stringify({ resourceSpans: [{ resource: { attributes: [text("service.name", "large")] }, scopeSpans: [{ scope: { name: "test" }, spans }] }] });
  const response = await fetch(`${OTLP}/v1/traces`, { method: "POST", headers: { "content-type": "application/json" }, body });
  assert.equal(response.status, 200, await response.text());
  const { runs } = await get("/api/v1/runs");
  assert.equal(runs[0].id, trace, PAGE);
}
