// A browser that is watched: what pages say on the console, what fails, and what goes to another
// server is kept, to be an error in the end.
import { accessSync } from "node:fs";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import puppeteer from "puppeteer-core";

const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"].map((name) => `/usr/bin/${name}`);
const there = (path) => { try { accessSync(path); return true; } catch { return false; } };
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The largest first load of a page, all that belongs to it included. */
const PAGE_BYTES_MAX = 150 * 1024;

export async function launch() {
  const executablePath = process.env.CHROMIUM ?? PROGRAMS.find(there);
  if (!executablePath) throw new Error("there is no Chromium: tests/console/install.sh");
  // In containers and as root Chromium cannot build its own sandbox; it sees our own pages alone.
  const args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"];
  return puppeteer.launch({ executablePath, args, headless: true });
}

export class Watch {
  constructor(origin) {
    this.origin = origin;
    this.faults = [];
    this.bytes = new Map();
  }

  /** A page of its own session, each load as if it were the first. */
  async page(browser, { cold = true } = {}) {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    page.setDefaultTimeout(90_000);
    await page.setCacheEnabled(!cold);
    await page.setViewport({ width: 1280, height: 900 });
    this.watch(page);
    return page;
  }

  watch(page) {
    const fault = (text) => this.faults.push(`${page.url()}: ${text}`);
    page.on("pageerror", (error) => fault(`error: ${error.message}`));
    page.on("console", (message) => {
      if (!["error", "warn"].includes(message.type())) return;
      // A browser tells of each answer that is an error, expected or not: `expecting` knows.
      if (message.text().startsWith("Failed to load resource")) return;
      fault(`console: ${message.text()}`);
    });
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(this.origin) && !url.startsWith("data:")) fault(`asks for ${url}`);
    });
    page.on("requestfailed", (request) => {
      const live = request.url().includes("/console/live/");
      const aborted = request.failure()?.errorText === "net::ERR_ABORTED";
      if (!live && !aborted) fault(`${request.url()} failed: ${request.failure()?.errorText}`);
    });
    page.on("response", (response) => {
      if (response.status() >= 400 && !this.expected?.includes(response.status())) {
        fault(`${response.url()} answered ${response.status()}`);
      }
    });
  }

  /** Answers with one of these statuses are meant while `act` runs. */
  async expecting(statuses, act) {
    this.expected = statuses;
    try { return await act(); } finally { this.expected = undefined; }
  }

  /** No violation of accessibility, and within its size. */
  async check(page, name) {
    // From here, not from the page: its policy lets no script in.
    for (const value of ["light", "dark"]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
      const violations = await page.evaluate(`${axe}; axe.run(document).then(({ violations }) =>
        violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html, failureSummary }) =>
          html + " " + failureSummary).join(" | ")))`);
      for (const violation of violations) this.faults.push(`${name}, ${value}: axe: ${violation}`);
    }
    const size = await page.evaluate(() => {
      const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
      const page = entries.filter(({ name }) => !name.includes("/console/live/"));
      return page.reduce((sum, { encodedBodySize }) => sum + encodedBodySize + 300, 0);
    });
    this.bytes.set(name, size);
    if (size > PAGE_BYTES_MAX) this.faults.push(`${name}: ${size} bytes to load`);
  }

  settle() {
    if (this.faults.length) throw new Error(`${this.faults.length} faults:\n${this.faults.join("\n")}`);
  }
}
