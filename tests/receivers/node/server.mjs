// Receives webhooks with what Node brings along. From the environment: PORT, SECRET, and PROFILE, which
// decides how a delivery is verified and what its body looks like.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const { PORT, SECRET, PROFILE } = process.env;
const PROFILES = ['standard', 'entri', 'penr', 'content-engine', 'auto-blogger', 'entro'];
const BODY_BYTES_MAX = 2 * 1024 * 1024;
const TOLERANCE_S = 300;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

if (!PORT || !SECRET || !PROFILES.includes(PROFILE)) {
  console.error('set PORT, SECRET and PROFILE');
  process.exit(2);
}

// The key of Standard Webhooks; of a secret that is none, it would be empty.
const KEY = Buffer.from(SECRET.replace(/^whsec_/, ''), 'base64');
if (PROFILE === 'standard' && KEY.length < 24) {
  console.error('SECRET must be whsec_ and the base64 of 24 bytes or more');
  process.exit(2);
}

function equal(received, expected) {
  const [left, right] = [Buffer.from(received ?? ''), Buffer.from(expected)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function verifyStandard(headers, body) {
  const id = headers['webhook-id'] ?? '';
  const timestamp = headers['webhook-timestamp'] ?? '';
  if (id === '' || id.includes('.') || !/^[0-9]+$/.test(timestamp)) return false;
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_S) return false;
  const mac = createHmac('sha256', KEY).update(`${id}.${timestamp}.`).update(body);
  const expected = `v1,${mac.digest('base64')}`;
  const entries = (headers['webhook-signature'] ?? '').split(' ');
  return entries.some((entry) => equal(entry, expected));
}

function verify(headers, body) {
  const hex = createHmac('sha256', SECRET).update(body).digest('hex');
  switch (PROFILE) {
    case 'standard':
      return verifyStandard(headers, body);
    case 'entri':
    case 'penr':
      return equal(headers['x-webhook-signature'], hex);
    case 'content-engine':
    case 'auto-blogger':
      return equal(headers['x-webhook-signature'], `sha256=${hex}`);
    case 'entro':
      return equal(headers.authorization, `Bearer ${SECRET}`);
  }
}

function isEnvelope(json, name) {
  return Object.keys(json ?? {}).join() === `${name},timestamp,data`
    && typeof json[name] === 'string' && TIME.test(json.timestamp);
}

// Does it look as the profile says?
function isWellFormed(headers, json) {
  const announced = headers['x-webhook-event'] === json?.event;
  const repeatable = Boolean(headers['idempotency-key']);
  switch (PROFILE) {
    case 'standard':
      return isEnvelope(json, 'type');
    case 'entri':
    case 'penr':
      return isEnvelope(json, 'event') && announced;
    case 'content-engine':
      return isEnvelope(json, 'event') && announced && repeatable;
    case 'auto-blogger':
      return typeof json?.event === 'string' && repeatable;
    case 'entro':
      return true;
  }
}

async function read(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
  }
  return bytes <= BODY_BYTES_MAX ? Buffer.concat(chunks) : null;
}

function answer(response, status, json) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(json));
}

async function receive(request, response) {
  const body = await read(request);
  if (!body) return answer(response, 413, { error: 'the body is too large' });
  if (!verify(request.headers, body)) return answer(response, 401, { error: 'not verified' });
  let json;
  try {
    json = JSON.parse(body.toString());
  } catch {
    return answer(response, 400, { error: 'the body is not JSON' });
  }
  if (!isWellFormed(request.headers, json)) {
    return answer(response, 400, { error: `not a delivery of ${PROFILE}` });
  }
  answer(response, 200, { received: true });
}

// A sender that goes away in the middle of its body is no reason to stop.
const server = createServer((request, response) => {
  receive(request, response).catch(() => response.destroy());
});
server.listen(Number(PORT), '127.0.0.1', () => console.log('listening'));
