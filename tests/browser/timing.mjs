// What the page takes: until something is painted, and how long its tasks keep it from anything else.

const CATEGORIES = ["toplevel", "devtools.timeline"];

/**
 * The longest task of the page while something is done: how long it lasted, and how much of that it was computing, which
 * tells the same where others keep the machine busy. In milliseconds.
 */
export async function longestTask(browser, page, act) {
  await browser.startTracing(page, { categories: CATEGORIES });
  const outcome = await act();
  await page.evaluate(() => new Promise((done) => requestIdleCallback(done)));
  const { traceEvents: events } = JSON.parse(await browser.stopTracing());
  const scripts = new Set(events.filter(({ name }) => name === "FunctionCall").map(({ pid, tid }) => `${pid} ${tid}`));
  const tasks = events.filter(({ name, ph, pid, tid }) => name.endsWith("RunTask") && ph === "X" && scripts.has(`${pid} ${tid}`));
  const most = (key) => Math.round(Math.max(0, ...tasks.map((task) => task[key] ?? 0)) / 100) / 10;
  return { outcome, lasted: most("dur"), computed: most("tdur") };
}

/**
 * Goes to an address within the page and waits until what it shows is painted: how long that took, and how long since
 * the answer of the API had arrived. In milliseconds.
 */
export function timeToPaint(page, address, { asked, shown }) {
  return page.evaluate(
    async ([address, asked, shown]) => {
      const began = performance.now();
      const arrived = new Promise((done) => {
        const observer = new PerformanceObserver((list) => {
          const entry = list.getEntries().find(({ name, startTime }) => name.includes(asked) && startTime >= began);
          if (!entry) return;
          observer.disconnect();
          done(entry.responseEnd);
        });
        observer.observe({ type: "resource" });
      });
      const painted = new Promise((done) => {
        const observer = new MutationObserver(() => {
          if (!document.querySelector(shown)) return;
          observer.disconnect();
          requestAnimationFrame(() => {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = () => done(performance.now());
            port2.postMessage(null);
          });
        });
        observer.observe(document.body, { childList: true, subtree: true });
      });
      window.history.pushState(null, "", address);
      window.dispatchEvent(new PopStateEvent("popstate"));
      const [at, end] = await Promise.all([arrived, painted]);
      return { fromAnswer: end - at, fromClick: end - began };
    },
    [address, asked, shown],
  );
}

/** Scrolls to the end in so many frames; the times between frames, in milliseconds and in order. */
export function scroll(page, frames) {
  return page.evaluate(async (frames) => {
    const main = document.querySelector("main");
    const step = main.scrollHeight / frames;
    const times = [];
    let last = performance.now();
    for (let frame = 0; frame < frames; frame += 1) {
      main.scrollTop += step;
      await new Promise(requestAnimationFrame);
      times.push(performance.now() - last);
      last = performance.now();
    }
    main.scrollTop = main.scrollHeight;
    return times.sort((a, b) => a - b);
  }, frames);
}
