// Receives webhooks: `PORT=9000 SECRET=whsec_… INBOX=inbox node receive.mjs`.
//
// A delivery is verified, put aside and answered; what it asks for is done later, by whoever works off
// INBOX. verify.mjs is the JavaScript block of ../../verify.md.
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { verifyStandard } from './verify.mjs';

const { PORT, SECRET, INBOX = 'inbox' } = process.env;
const BODY_BYTES_MAX = 2 * 1024 * 1024;

// A file named for the delivery's id: one that comes again finds it there.
async function putAside(id, body) {
  const file = join(INBOX, `${id}.json`);
  if (existsSync(file)) return;
  const draft = join(INBOX, randomUUID());
  const written = await open(draft, 'wx');
  await written.writeFile(body);
  await written.sync();
  await written.close();
  await rename(draft, file);
}

async function receive(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) return 413;
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (!verifyStandard(SECRET, request.headers, body)) return 401;
  await putAside(request.headers['webhook-id'], body);
  return 204;
}

mkdirSync(INBOX, { recursive: true });
const server = createServer((request, response) => {
  receive(request).then(
    (status) => response.writeHead(status).end(),
    // It could not be put aside: Hookfleet comes again.
    () => response.writeHead(500).end(),
  );
});
server.listen(Number(PORT), '127.0.0.1');
