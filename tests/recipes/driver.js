// Puts the Node.js recipe at the tests' disposal: a command a line in JSON on standard input, an answer a line.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import * as recipe from '../../recipes/node/number-verification-receipts.js';

const { ReceiptError, ReceiptVerifier, hashOfNumber, isNumber } = recipe;
const require = createRequire(new URL('../../recipes/node/package.json', import.meta.url));
const jose = await import(pathToFileURL(require.resolve('jose')).href);
const verifiers = [];
let now = 0;

class StoreError extends Error {}

/** Has seen everything; asked about what it does not know, it fails. */
const fullStore = {
  async putIfAbsent(jti, until) {
    if (jti.startsWith('seen-until-')) return jti !== `seen-until-${until}`;
    throw new StoreError();
  },
};

async function answer(command) {
  switch (command.do) {
    case 'new':
      try {
        const options = { decryptionKeys: command.keys, used: command.full ? fullStore : undefined, now: () => now };
        verifiers.push(new ReceiptVerifier(command.jwks, command.audiences, options));
      } catch (error) {
        return { unusable: error.message };
      }
      return { verifier: verifiers.length - 1 };
    case 'verify':
      now = command.at;
      return verify(command);
    case 'race':
      now = command.at;
      return { answers: await Promise.all(command.receipts.map((receipt) => verify({ ...command, receipt }))) };
    case 'hash':
      return { hash: hashOfNumber(command.number, command.key) };
    case 'is':
      return { is: isNumber(command.hash, command.number, command.key) };
    case 'library': {
      // Nothing of ours: what the library's documentation says.
      const keys = jose.createRemoteJWKSet(new URL(command.jwks));
      const { payload } = await jose.jwtVerify(command.receipt, keys, {
        algorithms: ['ES256'],
        typ: 'number-verification+jwt',
        issuer: command.issuer,
        audience: command.audience,
        requiredClaims: ['exp', 'iat', 'jti', 'nonce'],
      });
      return { claims: payload };
    }
  }
}

async function verify(command) {
  const verifier = verifiers[command.verifier];
  try {
    const claims =
      'nonce' in command
        ? await verifier.verify(command.receipt, command.nonce ?? undefined)
        : await verifier.verifyWithoutNonce(command.receipt);
    return { claims };
  } catch (error) {
    if (error instanceof StoreError) return { failed: true };
    if (!(error instanceof ReceiptError)) throw error;
    return { reason: error.reason, text: error.message, shown: String(error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
