// `check.mjs VECTORS`: what verify.mjs, from docs/verify.md, says to each vector, a line each.
import { readFileSync } from 'node:fs';
import { verifyHex, verifySha256, verifyStandard } from './verify.mjs';

function verdict({ scheme, secret, id, timestamp, signature, body, now }) {
  const bytes = Buffer.from(body);
  switch (scheme) {
    case 'standard': {
      const headers = {
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': signature,
      };
      return verifyStandard(secret, headers, bytes, now);
    }
    case 'hex':
      return verifyHex(secret, signature, bytes);
    case 'sha256':
      return verifySha256(secret, signature, bytes);
    default:
      throw new Error(`no such scheme: ${scheme}`);
  }
}

for (const vector of JSON.parse(readFileSync(process.argv[2]))) console.log(String(verdict(vector)));
