/** How a business's TypeScript uses the client: this compiles, or the declarations have changed under it. */
import { createVerifier, normalise, type Nonce, type Outcome, type Verifier } from '../../../web/number-verification.js';

const verifier: Verifier = createVerifier({
  api: 'https://api.example.com',
  appId: '300000000000',
  timeouts: { verify: 20_000 },
  onStep: ({ name, state }) => `${name} ${state}`,
});

/** Every kind is handled: a new one would not compile. */
export function say(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'verified':
      return outcome.code === 'match_without_receipt' ? 'no receipt' : `welcome ${outcome.receipt ?? outcome.taskId}`;
    case 'refused':
      return `${outcome.attemptsLeft ?? 0} left`;
    case 'fix_request':
      return (outcome.errors ?? []).map(({ field, reason }) => `${field}: ${reason}`).join();
    case 'wait':
      return `${outcome.retryAfter ?? 1} s`;
    case 'retry':
    case 'use_other_method':
    case 'cancelled':
      return outcome.code;
    default:
      return outcome satisfies never;
  }
}

const number: string | null = normalise('+86 139 9999 4444');
if ((await verifier.prepare()).kind === 'ready' && number) say(await verifier.verify(number));
const fetched = async (signal: AbortSignal) => (await fetch('/nonce', { method: 'POST', signal })).text();
const nonces: Nonce[] = ['n', Promise.resolve('n'), () => 'n', async () => 'n', fetched];
for (const nonce of nonces) say(await verifier.verify('13999994444', { nonce }));
// @ts-expect-error a nonce is a text
verifier.verify('13999994444', { nonce: async () => 1 });
// @ts-expect-error a refused number has no receipt
const unsigned = (outcome: Outcome) => outcome.kind === 'refused' && outcome.receipt;
// @ts-expect-error no outcome carries a token
(await verifier.verify('13999994444')).token;
// @ts-expect-error api and appId are required
createVerifier({ api: 'https://api.example.com' });
verifier.dispose();
verifier.forget();
