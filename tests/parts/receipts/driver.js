// Tries the page's code: a receipt a line in JSON on standard input, an answer a line.
import { createInterface } from 'node:readline';
import { errors } from 'jose';
import { check, isOf } from './receipts.js';

const used = new Set();
const firstUse = async (jti) => !used.has(jti) && Boolean(used.add(jti));

for await (const line of createInterface({ input: process.stdin })) {
  const { receipt, nonce, number, hashKey } = JSON.parse(line);
  let answer;
  try {
    const claims = await check(receipt, nonce, firstUse);
    answer = { claims, isOf: isOf(claims, number, hashKey) };
  } catch (error) {
    const unavailable = error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError);
    answer = { refused: String(error), unavailable };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
