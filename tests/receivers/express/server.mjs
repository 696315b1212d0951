// Receives webhooks with Express. From the environment: PORT, SECRET, and PROFILE, which decides how a
// delivery is verified and what its body looks like.
import { createHmac, timingSafeEqual } from 'node:crypto';
import express from 'express';
import { Webhook } from 'standardwebhooks';

const { PORT, SECRET, PROFILE } = process.env;
const PROFILES = ['standard', 'entri', 'penr', 'content-engine', 'auto-blogger', 'entro'];
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

if (!PORT || !SECRET || !PROFILES.includes(PROFILE)) {
  console.error('set PORT, SECRET and PROFILE');
  process.exit(2);
}

function equal(received, expected) {
  const [left, right] = [Buffer.from(received ?? ''), Buffer.from(expected)];
  return left.length === right.length && timingSafeEqual(left, right);
}

const webhook = PROFILE === 'standard' ? new Webhook(SECRET) : null;

function verifyStandard(request) {
  try {
    webhook.verify(request.body, request.headers, { jsonParse: false });
    return true;
  } catch {
    return false;
  }
}

function verify(request) {
  const hex = () => createHmac('sha256', SECRET).update(request.body).digest('hex');
  switch (PROFILE) {
    case 'standard':
      return verifyStandard(request);
    case 'entri':
    case 'penr':
      return equal(request.get('X-Webhook-Signature'), hex());
    case 'content-engine':
    case 'auto-blogger':
      return equal(request.get('X-Webhook-Signature'), `sha256=${hex()}`);
    case 'entro':
      return equal(request.get('Authorization'), `Bearer ${SECRET}`);
  }
}

function isEnvelope(json, name) {
  return Object.keys(json ?? {}).join() === `${name},timestamp,data`
    && typeof json[name] === 'string' && TIME.test(json.timestamp);
}

// Does it look as the profile says?
function isWellFormed(request, json) {
  const announced = request.get('X-Webhook-Event') === json?.event;
  const repeatable = Boolean(request.get('Idempotency-Key'));
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

function receive(request, response) {
  // What is not application/json was not read.
  if (!Buffer.isBuffer(request.body)) request.body = Buffer.alloc(0);
  if (!verify(request)) return response.status(401).json({ error: 'not verified' });
  let json;
  try {
    json = JSON.parse(request.body.toString());
  } catch {
    return response.status(400).json({ error: 'the body is not JSON' });
  }
  if (!isWellFormed(request, json)) {
    return response.status(400).json({ error: `not a delivery of ${PROFILE}` });
  }
  response.json({ received: true });
}

const app = express();
app.use(express.raw({ type: 'application/json', limit: '2mb' }));
app.use(receive);
// Four arguments make it Express's handler of errors: a body that is too large, or cut off.
app.use((error, request, response, next) => {
  response.status(error.status ?? 500).json({ error: 'the request could not be read' });
});
app.listen(Number(PORT), '127.0.0.1', (error) => {
  if (error) throw error;
  console.log('listening');
});
