// Prompts, answers, names and errors may hold anything. On the page it is text.
import assert from "node:assert/strict";
import { goTo, isSound, open, sees, send, withBrowser } from "./browser.mjs";

const MARKUP = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><a href="javascript:window.hacked=1">x</a>`;
const LONG = "wide".repeat(2000);
const trace_id = "0bf7651916cd43dd8448eb211c80319c";
const evil = { trace_id, agent: MARKUP, model: MARKUP, provider: MARKUP, feature: MARKUP, task_id: MARKUP, user_id: MARKUP, conversation_id: LONG };
const messages = [{ role: MARKUP, parts: [{ type: "text", content: MARKUP + LONG }, { type: MARKUP, content: [MARKUP] }, null, { type: "tool_call", name: MARKUP, arguments: { [MARKUP]: MARKUP } }] }];
const span = (number) => `00000000000000c${number}`;

await send(
  { ...evil, name: "workflow.started", span_id: span(0), component_id: MARKUP },
  { ...evil, name: "agent.started", span_id: span(1), parent_span_id: span(0), data: { input: MARKUP } },
  { ...evil, name: "llm.started", span_id: span(2), parent_span_id: span(1), data: { messages, system_instructions: MARKUP } },
  { ...evil, name: "llm.completed", span_id: span(2), parent_span_id: span(1), data: { response: messages }, performance: { input_tokens: 5, output_tokens: 7 } },
  { ...evil, name: "tool.started", span_id: span(3), parent_span_id: span(1), tool: MARKUP, data: { arguments: MARKUP } },
  { ...evil, name: "tool.failed", span_id: span(3), parent_span_id: span(1), tool: MARKUP, message: MARKUP, data: { result: { [MARKUP]: MARKUP } } },
  { ...evil, name: "review.decided", span_id: span(1), data: { decision: "rejected", reviewer: MARKUP, target: MARKUP } },
  { ...evil, name: "hitl.resolved", span_id: span(1), data: { decision: "rejected", by: { [MARKUP]: 1 } } },
  { ...evil, name: "agent.failed", span_id: span(1), parent_span_id: span(0), message: MARKUP },
  { ...evil, name: "workflow.failed", span_id: span(0), message: MARKUP },
);

const run = `/runs/${trace_id}`;
const PLACES = ["/", "/runs", run, `${run}?part=timeline&span=${span(2)}`, `${run}?part=timeline&span=${span(3)}`, `${run}?part=agents`, `${run}?part=agents&view=lanes`, `${run}?part=events&event=3`, `${run}?part=cost`, "/cost?by=agent", `/cost?by=feature&row=${encodeURIComponent(MARKUP)}`, "/health"];

await withBrowser(async (browser) => {
  for (const phone of [false, true]) {
    const page = await open(browser, { phone });
    for (const path of PLACES) {
      await goTo(page, path);
      await (path === "/health" ? sees(page, "#listening", "Taken in") : sees(page, "main", "onerror="));
      const inserted = await page.locator('img[src="x"], main script, a[href^="javascript"]').count();
      assert.equal(inserted, 0, `${path}: markup became markup`);
      assert.equal(await page.evaluate(() => window.hacked), undefined, path);
      await isSound(page, `${path}${phone ? ", phone" : ""}, with hostile content`, { audit: !phone });
    }
    await page.context().close();
  }
});
