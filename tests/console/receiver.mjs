// A receiver on this machine that answers as it is told, and keeps what came.
import { createServer } from "node:http";

export async function receiver() {
  const kept = [];
  const server = createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      kept.push({ headers: request.headers, body: Buffer.concat(parts).toString() });
      response.writeHead(self.status, { "content-type": "application/json" });
      response.end(JSON.stringify(self.status < 300 ? { thanks: true } : { error: "<b>broken</b>\r\n" }));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const self = { status: 200, kept, url: `http://127.0.0.1:${server.address().port}/hook`, end: () => server.close() };
  return self;
}
