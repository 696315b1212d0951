// How long the server takes for each page with much stored, and how large its first load is:
// `node times.mjs URL TOKEN`, on a server that is empty. Ends with 1 when one takes 100 ms or longer,
// half of the times or more, or when page, style, scripts and pictures of one are 150 KiB or more.
import { createServer } from "node:http";
import { performance } from "node:perf_hooks";

const [url, token] = process.argv.slice(2);
const ENDPOINTS = Number(process.env.ENDPOINTS ?? 10_000);
const EVENTS = Number(process.env.EVENTS ?? 10);
const TIMES = 21;
const LIMIT_MS = 100;
const LIMIT_BYTES = 150 * 1024;
// Of so many endpoints one is broken, and one is slow.
const BROKEN_EACH = 1000;
const SLOW_MS = 300;

const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
async function call(method, path, body) {
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}
const post = (path, body) => call("POST", path, body);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(what, holds) {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await holds()) return;
    await pause(500);
  }
  throw new Error(`${what}: not after 5 minutes`);
}

let came = 0;
const server = createServer((request, response) => {
  request.resume().on("end", async () => {
    came += 1;
    const number = Number(request.url.slice(1));
    if (number % BROKEN_EACH === 1) await pause(SLOW_MS);
    response.statusCode = number % BROKEN_EACH === 0 ? 503 : 200;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(response.statusCode === 200 ? { thanks: true } : { error: "out of order", since: "this morning" }));
  });
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const hook = `http://127.0.0.1:${server.address().port}`;
let made = 0, endpoint;
async function make() {
  while (made < ENDPOINTS) {
    const number = (made += 1);
    const retry = number % BROKEN_EACH === 0 ? { schedule: [] } : undefined;
    endpoint = await post("/v1/tenants/acme/endpoints", { url: `${hook}/${number}`, name: `Endpoint ${number}`, retry });
  }
}
await Promise.all(Array.from({ length: 64 }, make));
console.log(`${ENDPOINTS} endpoints`);
let event;
for (let number = 0; number < EVENTS; number += 1) {
  event = await post("/v1/tenants/acme/events", { type: "content.published", data: { number, title: `News of day ${number}` } });
}
await until("all attempts are made", () => came >= ENDPOINTS * EVENTS);
console.log(`${came} attempts`);

// Dead letters for another reason, and a job that replays them; both end where nobody listens.
const dead = { url: "http://127.0.0.1:9/", name: "Nobody listens here", retry: { schedule: [] } };
await post("/v1/tenants/globex/endpoints", dead);
for (let number = 0; number < 50; number += 1) await post("/v1/tenants/globex/events", { type: "a.b", data: {} });
const letters = async () => (await call("GET", "/v1/dead-letters?tenant=globex&limit=50")).items;
await until("they are dead", async () => (await letters()).length === 50);
const { job_id: job } = await post("/v1/dead-letters/replay", { filter: { tenant: "globex" } });
await until("they are replayed", async () => (await call("GET", `/v1/jobs/${job}`)).state === "done");
await until("they are dead again", async () => (await letters()).length === 50);
// What endpoints did is counted once a minute.
const counted = async () => (await call("GET", "/v1/tenants/acme/stats/endpoints?worst=slowest")).items.length;
await until("endpoints are counted", async () => (await counted()) > 0);

const signed = await fetch(`${url}/sign-in`, {
  method: "POST", redirect: "manual", headers: { origin: url }, body: new URLSearchParams({ token }),
});
const cookie = signed.headers.get("set-cookie").split(";")[0];
const own = "/tenants/acme";
const [letter] = await letters();
const names = [[endpoint.id, "ENDPOINT"], [event.id, "EVENT"], [letter.id, "LETTER"], [job, "JOB"]];
const pages = [
  "/sign-in", "/", "/?range=day", "/?range=month", own, "/tenants", "/system", "/jobs", `/jobs/${job}`,
  "/dead-letters", "/dead-letters?tenant=acme", `/dead-letters/${letter.id}`,
  `${own}/endpoints`, `${own}/endpoints?search=endpoint+99`, `${own}/endpoints?active=false`,
  `${own}/endpoints?search=no+such+endpoint`, `${own}/endpoints?cursor=${endpoint.id}`,
  `${own}/endpoints/new`, `${own}/endpoints/${endpoint.id}`, `${own}/endpoints/${endpoint.id}/edit`,
  `${own}/endpoints/${endpoint.id}/recover`, `${own}/endpoints/${endpoint.id}/events/${event.id}`,
  `${own}/events`, `${own}/events?type=nothing.such`, `${own}/events/${event.id}`,
  `${own}/events/${event.id}?cursor=${endpoint.id}`, `${own}/tokens`, `${own}/links`,
];
const assets = new Map();
async function load(path) {
  const begun = performance.now();
  const answer = await fetch(url + path, { headers: { cookie } });
  const body = Buffer.from(await answer.arrayBuffer());
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return { ms: performance.now() - begun, body };
}
/** What a page loads besides itself: its policy lets it have nothing of others. */
async function besides(html) {
  let bytes = 0;
  for (const [, path] of html.matchAll(/<(?:link|script|img)[^>]* (?:href|src)="(\/[^"]+)"/g)) {
    if (!assets.has(path)) assets.set(path, (await load(path)).body.length);
    bytes += assets.get(path);
  }
  return bytes;
}
const late = [], large = [];
console.log(" median      worst    page first load");
for (const page of pages) {
  const loads = [];
  for (let time = 0; time < TIMES; time += 1) loads.push(await load(page));
  loads.sort((a, b) => a.ms - b.ms);
  const { ms, body } = loads[Math.floor(TIMES / 2)];
  const bytes = body.length + (await besides(body.toString()));
  if (ms >= LIMIT_MS) late.push(page);
  if (bytes >= LIMIT_BYTES) large.push(page);
  const shown = names.reduce((path, [id, name]) => path.replace(id, name), page);
  const [median, worst] = [ms, loads.at(-1).ms].map((ms) => `${ms.toFixed(1).padStart(7)} ms`);
  const [alone, first] = [body.length, bytes].map((bytes) => `${(bytes / 1024).toFixed(1).padStart(6)} KiB`);
  console.log(`${median} ${worst} ${alone} ${first}  ${shown}`);
}
server.close();
server.closeAllConnections();
if (late.length) console.error(`too late, ${LIMIT_MS} ms or longer: ${late.join(" ")}`);
if (large.length) console.error(`too large, ${LIMIT_BYTES / 1024} KiB or more: ${large.join(" ")}`);
if (late.length || large.length) process.exitCode = 1;
