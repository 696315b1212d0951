// How long the server takes for each page with much stored: `node times.mjs URL TOKEN`, on a server
// that is empty. Ends with 1 when one takes 100 ms or longer, half of the times or more.
import { createServer } from "node:http";
import { performance } from "node:perf_hooks";

const [url, token] = process.argv.slice(2);
const ENDPOINTS = Number(process.env.ENDPOINTS ?? 10_000);
const EVENTS = Number(process.env.EVENTS ?? 10);
const TIMES = 21;
const LIMIT_MS = 100;

const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
const post = async (path, body) => {
  const answer = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};

let came = 0;
const server = createServer((request, response) => {
  request.resume().on("end", () => { came += 1; response.end("thanks"); });
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const hook = `http://127.0.0.1:${server.address().port}`;
let made = 0, endpoint;
const make = async () => {
  while (made < ENDPOINTS) {
    const number = (made += 1);
    endpoint = await post("/v1/tenants/acme/endpoints", { url: `${hook}/${number}`, name: `Endpoint ${number}` });
  }
};
await Promise.all(Array.from({ length: 64 }, make));
console.log(`${ENDPOINTS} endpoints`);
let event;
for (let number = 0; number < EVENTS; number += 1) {
  event = await post("/v1/tenants/acme/events", { type: "content.published", data: { number } });
}
while (came < ENDPOINTS * EVENTS) await new Promise((resolve) => setTimeout(resolve, 500));
// Dead letters, too.
await post("/v1/tenants/globex/endpoints", { url: "http://127.0.0.1:9/", retry: { schedule: [] } });
for (let number = 0; number < 50; number += 1) await post("/v1/tenants/globex/events", { type: "a.b", data: {} });
await new Promise((resolve) => setTimeout(resolve, 8000));
console.log(`${came} attempts`);

const signed = await fetch(`${url}/sign-in`, {
  method: "POST", redirect: "manual", headers: { origin: url }, body: new URLSearchParams({ token }),
});
const cookie = signed.headers.get("set-cookie").split(";")[0];
const own = "/tenants/acme";
const pages = [
  "/", "/?range=month", own, "/tenants", "/system", "/jobs", "/dead-letters",
  `${own}/endpoints`, `${own}/endpoints?search=endpoint+99`, `${own}/endpoints?cursor=${endpoint.id}`,
  `${own}/endpoints/new`, `${own}/endpoints/${endpoint.id}`, `${own}/endpoints/${endpoint.id}/edit`,
  `${own}/events`, `${own}/events/${event.id}`, `${own}/tokens`,
];
let late = 0;
for (const page of pages) {
  const times = [];
  for (let time = 0; time < TIMES; time += 1) {
    const begun = performance.now();
    const answer = await fetch(url + page, { headers: { cookie } });
    const bytes = (await answer.arrayBuffer()).byteLength;
    if (!answer.ok) throw new Error(`${page}: ${answer.status}`);
    times.push([performance.now() - begun, bytes]);
  }
  times.sort(([a], [b]) => a - b);
  const [median, bytes] = times[Math.floor(TIMES / 2)];
  if (median >= LIMIT_MS) late += 1;
  const [worst] = times.at(-1);
  const shown = page.replace(endpoint.id, "ENDPOINT").replace(event.id, "EVENT");
  console.log(`${median.toFixed(1).padStart(7)} ms, at most ${worst.toFixed(1).padStart(7)} ms, ${(bytes / 1024).toFixed(1).padStart(6)} KiB  ${shown}`);
}
server.close();
server.closeAllConnections();
if (late) {
  console.error(`${late} pages take ${LIMIT_MS} ms or longer`);
  process.exitCode = 1;
}
