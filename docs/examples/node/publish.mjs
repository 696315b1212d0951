// Publishes an event: `node publish.mjs`. Nothing but what Node 18 and later bring along.
import { setTimeout as sleep } from 'node:timers/promises';

const { HOOKFLEET_URL = 'http://127.0.0.1:8080', HOOKFLEET_TOKEN, HOOKFLEET_TENANT = 'default' } =
  process.env;
const TRIES = 8;

// Resolves once the event is durable. `key` makes it one event, however often it is tried.
export async function publish(type, data, key) {
  const request = {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${HOOKFLEET_TOKEN}`,
      'Content-Type': 'application/json',
      'Idempotency-Key': key,
    },
    body: JSON.stringify({ type, data }),
  };
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    let waitS = Math.random() * Math.min(30, 2 ** attempt);
    try {
      const signal = AbortSignal.timeout(10_000);
      const answer = await fetch(`${HOOKFLEET_URL}/v1/tenants/${HOOKFLEET_TENANT}/events`, { ...request, signal });
      const text = await answer.text();
      if (answer.ok) return JSON.parse(text);
      // What was refused once is refused again; what was too much, or fails there, is not.
      if (answer.status !== 429 && answer.status < 500) throw new Refused(text);
      waitS = Math.max(waitS, Number(answer.headers.get('Retry-After') ?? 0));
    } catch (error) {
      if (error instanceof Refused) throw error;
      // No answer: it may or may not be durable, and the same key finds out.
    }
    await sleep(waitS * 1000);
  }
  throw new Error(`not published after ${TRIES} tries`);
}

class Refused extends Error {}

console.log(JSON.stringify(await publish('order.paid', { order: 42 }, 'order-42-paid')));
