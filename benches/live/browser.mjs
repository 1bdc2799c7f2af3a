// The page in Chromium: when its WebSocket heard of which agent, after the start of its span, until a line on standard
// input. The packages are those of the working directory.
import { createRequire } from "node:module";

const { chromium } = createRequire(`${process.cwd()}/`)("playwright-core");

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage();
await page.addInitScript(() => {
  window.heard = [];
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...args) {
      super(...args);
      this.addEventListener("message", ({ data }) => {
        const now = performance.timeOrigin + performance.now();
        const { event } = JSON.parse(data);
        if (event?.name === "agent.started") window.heard.push([event.agent, now - Date.parse(event.timestamp), event.timestamp]);
      });
    }
  };
});
await page.goto(process.env.PAGE);
await new Promise((done) => process.stdin.once("data", done));
console.log(JSON.stringify(await page.evaluate(() => window.heard.map(([agent, millis]) => [agent, millis]))));
await browser.close();
process.exit();
