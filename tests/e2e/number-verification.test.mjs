/**
 * The client module by itself, with a fake SDK and a fake API: what a browser test cannot bring about,
 * or not without waiting. Time stands still but when a test lets it pass.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { createVerifier } from '../../web/number-verification.js';

const API = 'https://api.example.com';
const NUMBER = '13999994444';
const MATCH = { verified: true, resultCode: '000', action: 'login', msgId: 'm', taskId: 't', attemptsLeft: 4 };
const MISMATCH = { verified: false, resultCode: '001', action: 'refuse', attemptsLeft: 3 };

let now;
let tokens;
let posted;
let answers;

/** The next answers to a path, in order; the last one stays. */
const refusal = (status, code, action, more = {}) => ({ status, body: { code, action, status, requestId: 'r', ...more } });

async function fakeFetch(url, { body, signal, mode } = {}) {
  const path = url.slice(API.length);
  posted.push({ path, mode, body: body && JSON.parse(body) });
  if (mode === 'no-cors') return answers.probe();
  const queue = answers[path];
  const answer = queue.length > 1 ? queue.shift() : queue[0];
  if (answer === 'hang') {
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
  }
  if (answer === 'lost') throw new TypeError('Failed to fetch');
  const { status = 200, headers = {}, ...rest } = answer;
  const text = typeof rest.text === 'string' ? rest.text : JSON.stringify(rest.body ?? answer);
  return new Response(text, { status, headers });
}

const sent = (path) => posted.filter((request) => request.path === path && !request.mode);

function verifierWith(config = {}) {
  return createVerifier({ api: `${API}/`, appId: '000001', fetch: fakeFetch, now: () => now, ...config });
}

/** Let time pass until a promise has settled. */
async function later(promise) {
  let settled = false;
  const end = promise.finally(() => (settled = true));
  for (let turn = 0; !settled && turn < 2000; turn++) {
    await new Promise((resume) => setImmediate(resume));
    if (turn % 5 === 4) {
      now += 100;
      mock.timers.tick(100);
    }
  }
  assert.ok(settled, 'nothing came of it');
  return end;
}

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  now = 1_700_000_000_000;
  tokens = 0;
  posted = [];
  answers = {
    '/presign': [{ sign: 'c2lnbg==' }],
    '/verify': [MATCH],
    probe: () => Promise.reject(new TypeError('Failed to fetch')),
  };
  globalThis.YDRZ = {
    getSign: (appId, version) => `${appId}…${version}`,
    getConnection: () => ({ netType: 'cellular' }),
    getTokenInfo({ success }) {
      tokens++;
      success({ code: '000000', token: `VM_${tokens}`, userInformation: 'a%2Bb%3D%3D' });
    },
  };
});

afterEach(() => {
  mock.timers.reset();
  delete globalThis.YDRZ;
});

test('a match is verified, and nothing personal is in the outcome', async () => {
  const outcome = await later(verifierWith().verify(NUMBER));

  assert.deepEqual(outcome, { kind: 'verified', code: 'match', resultCode: '000', msgId: 'm', taskId: 't', attemptsLeft: 4 });
  assert.deepEqual(sent('/verify')[0].body, { phoneNum: NUMBER, token: 'VM_1', userInformation: 'a%2Bb%3D%3D' });
});

test('a mismatch is refused and not tried again', async () => {
  answers['/verify'] = [MISMATCH];
  const { kind, code, attemptsLeft } = await later(verifierWith().verify(NUMBER));

  assert.deepEqual({ kind, code, attemptsLeft }, { kind: 'refused', code: 'mismatch', attemptsLeft: 3 });
  assert.equal(sent('/verify').length, 1);
});

for (const [what, answer] of Object.entries({
  'a verdict without its code': { verified: true, action: 'login' },
  'a verdict that contradicts itself': { verified: true, resultCode: '001', action: 'login' },
  'a verdict with the other action': { verified: false, resultCode: '000', action: 'login' },
  'an action that nobody knows': { verified: true, resultCode: '000', action: 'constructor' },
  'a success without a verdict': {},
  'a success that is no JSON': { status: 200, text: '<html>' },
  'a refusal with a verdict in it': { status: 400, body: { action: 'login', verified: true, resultCode: '000' } },
})) {
  test(`${what} never signs anybody in`, async () => {
    answers['/verify'] = [answer];
    const { kind, code } = await later(verifierWith().verify(NUMBER));

    assert.deepEqual({ kind, code }, { kind: 'use_other_method', code: 'unexpected_answer' });
  });
}

test('a nonce is sent, and the receipt handed on as it came', async () => {
  answers['/verify'] = [{ ...MATCH, receipt: 'h.c.s' }];
  const outcome = await later(verifierWith().verify(NUMBER, { nonce: 'n-1' }));

  assert.deepEqual(outcome, {
    kind: 'verified', code: 'match', resultCode: '000', msgId: 'm', taskId: 't', attemptsLeft: 4, receipt: 'h.c.s',
  });
  assert.equal(sent('/verify')[0].body.nonce, 'n-1');
});

test('without a nonce none is sent, and a receipt is handed on all the same', async () => {
  answers['/verify'] = [{ ...MATCH, receipt: 'h.c.s' }];
  const { code, receipt } = await later(verifierWith().verify(NUMBER));

  assert.deepEqual([code, receipt], ['match', 'h.c.s']);
  assert.equal('nonce' in sent('/verify')[0].body, false);
});

for (const receipt of [undefined, '', null, 7, {}]) {
  test(`a nonce that comes back in no receipt (${JSON.stringify(receipt)}) is told`, async () => {
    answers['/verify'] = [{ ...MATCH, receipt }];
    const outcome = await later(verifierWith().verify(NUMBER, { nonce: 'n-1' }));

    assert.deepEqual([outcome.kind, outcome.code], ['verified', 'match_without_receipt']);
    assert.equal('receipt' in outcome, false);
  });
}

test('a refused number has no receipt, whatever the answer says', async () => {
  answers['/verify'] = [{ ...MISMATCH, receipt: 'h.c.s' }];
  const outcome = await later(verifierWith().verify(NUMBER, { nonce: 'n-1' }));

  assert.deepEqual(outcome, { kind: 'refused', code: 'mismatch', resultCode: '001', attemptsLeft: 3 });
});

for (const [what, nonce] of Object.entries({
  'a promise': () => Promise.resolve('n-1'),
  'a function': () => () => 'n-1',
  'a function that fetches': () => async () => 'n-1',
})) {
  test(`${what} gives the nonce`, async () => {
    await later(verifierWith().verify(NUMBER, { nonce: nonce() }));

    assert.equal(sent('/verify')[0].body.nonce, 'n-1');
  });
}

test('the nonce is fetched at the tap, once for all attempts', async () => {
  const nonce = mock.fn(async () => `n-${nonce.mock.callCount() + 1}`);
  answers['/verify'] = [refusal(422, 'token_rejected', 'retry'), 'lost', MATCH];
  const verifier = verifierWith();
  await later(verifier.prepare());
  assert.equal(nonce.mock.callCount(), 0);
  const { kind } = await later(verifier.verify(NUMBER, { nonce }));

  assert.equal(kind, 'verified');
  assert.deepEqual(sent('/verify').map(({ body }) => body.nonce), ['n-1', 'n-1', 'n-1']);
});

for (const [what, nonce] of Object.entries({
  'a back end that is down': async () => { throw new TypeError('Failed to fetch'); },
  'a back end that says nothing': () => new Promise(() => {}),
  'a function that throws': () => { throw new Error('no'); },
  'no text': () => 7,
  'an empty text': () => '',
  'nothing': () => undefined,
  'null': null,
})) {
  test(`with ${what} for a nonce, nothing is sent`, async () => {
    const { kind, code } = await later(verifierWith().verify(NUMBER, { nonce }));

    assert.deepEqual([kind, code], ['retry', 'nonce_unavailable']);
    assert.deepEqual(sent('/verify'), []);
  });
}

test('a back end that was down for a moment is asked again, and the token at hand is kept', async () => {
  const nonce = mock.fn(async () => 'n-1');
  nonce.mock.mockImplementationOnce(async () => { throw new TypeError('Failed to fetch'); });
  const verifier = verifierWith();
  await later(verifier.prepare());
  const { kind } = await later(verifier.verify(NUMBER, { nonce }));

  assert.equal(kind, 'verified');
  assert.equal(nonce.mock.callCount(), 2);
  assert.equal(tokens, 1);
});

test('a token that grows too old while the nonce is fetched is replaced', async () => {
  const verifier = verifierWith();
  await later(verifier.prepare());
  const nonce = () => {
    now += 50_000;
    return 'n-1';
  };
  await later(verifier.verify(NUMBER, { nonce }));

  assert.deepEqual(sent('/verify').map(({ body }) => body.token), ['VM_2']);
});

test('dispose ends the fetching of a nonce', async () => {
  let given;
  const verifier = verifierWith();
  const nonce = (signal) => {
    given = signal;
    return new Promise(() => {});
  };
  const running = verifier.verify(NUMBER, { nonce });
  for (let turn = 0; turn < 20; turn++) await new Promise((resume) => setImmediate(resume));
  assert.equal(given.aborted, false);
  verifier.dispose();

  assert.deepEqual(await later(running), { kind: 'cancelled', code: 'cancelled' });
  assert.equal(given.aborted, true);
});

test('prepare fetches one token however often it is called, and verify uses it', async () => {
  const verifier = verifierWith();
  const both = await later(Promise.all([verifier.prepare(), verifier.prepare()]));
  await later(verifier.prepare());
  await later(verifier.verify(NUMBER));

  assert.deepEqual(both.map(({ kind }) => kind), ['ready', 'ready']);
  assert.equal(tokens, 1);
});

test('a token serves one verification', async () => {
  const verifier = verifierWith();
  await later(verifier.verify(NUMBER));
  await later(verifier.verify(NUMBER));

  assert.deepEqual(sent('/verify').map(({ body }) => body.token), ['VM_1', 'VM_2']);
});

for (const [age, expected] of [[49_999, 1], [50_000, 2], [-1, 2]]) {
  test(`a token of ${age} ms ${expected === 1 ? 'is used' : 'is replaced'}`, async () => {
    const verifier = verifierWith();
    await later(verifier.prepare());
    now += age;
    await later(verifier.verify(NUMBER));

    assert.equal(tokens, expected);
  });
}

test('retry means a new token, twice at most', async () => {
  answers['/verify'] = [refusal(422, 'token_rejected', 'retry')];
  const outcome = await later(verifierWith().verify(NUMBER));

  assert.deepEqual(outcome, { kind: 'retry', code: 'token_rejected', requestId: 'r' });
  assert.deepEqual(sent('/verify').map(({ body }) => body.token), ['VM_1', 'VM_2', 'VM_3']);
});

for (const [status, code] of [[502, 'platform_error'], [504, 'platform_timeout']]) {
  test(`${code} may have cost an attempt, so it is tried again once`, async () => {
    answers['/verify'] = [refusal(status, code, 'retry')];
    const outcome = await later(verifierWith().verify(NUMBER));

    assert.equal(outcome.code, code);
    assert.deepEqual(sent('/verify').map(({ body }) => body.token), ['VM_1', 'VM_2']);
  });
}

test('a reused token is replaced', async () => {
  answers['/verify'] = [refusal(409, 'token_reused', 'retry'), MATCH];
  const { kind } = await later(verifierWith().verify(NUMBER));

  assert.equal(kind, 'verified');
  assert.equal(tokens, 2);
});

test('a request that is being worked on is asked for again as it was', async () => {
  const busy = refusal(409, 'in_progress', 'wait');
  answers['/verify'] = [busy, busy, busy, MATCH];
  const { kind } = await later(verifierWith().verify(NUMBER));

  assert.equal(kind, 'verified');
  assert.equal(tokens, 1);
  assert.equal(sent('/verify').length, 4);
});

test('a request that never ends is not waited for for ever', async () => {
  answers['/verify'] = [refusal(409, 'in_progress', 'wait')];
  const { kind, code } = await later(verifierWith().verify(NUMBER));

  assert.deepEqual({ kind, code }, { kind: 'wait', code: 'in_progress' });
  assert.equal(sent('/verify').length, 7);
});

test('a lost answer is asked for again with the same token, even when it has grown old', async () => {
  answers['/verify'] = ['hang', MATCH];
  const verifier = verifierWith({ timeouts: { verify: 11_000 } });
  await later(verifier.prepare());
  now += 49_000;
  const { kind } = await later(verifier.verify(NUMBER));

  assert.equal(kind, 'verified');
  assert.deepEqual(sent('/verify').map(({ body }) => body.token), ['VM_1', 'VM_1']);
});

test('nobody waits for a second attempt after twelve seconds', async () => {
  answers['/verify'] = ['hang'];
  const { kind, code } = await later(verifierWith().verify(NUMBER));

  assert.deepEqual({ kind, code }, { kind: 'retry', code: 'api_timeout' });
  assert.equal(sent('/verify').length, 1);
});

for (const [status, kind, code] of [
  [429, 'wait', 'too_many_requests'],
  [500, 'retry', 'api_error'],
  [503, 'retry', 'api_error'],
  [403, 'use_other_method', 'unexpected_answer'],
  [404, 'use_other_method', 'unexpected_answer'],
]) {
  test(`a gateway's own ${status} becomes ${kind}`, async () => {
    answers['/verify'] = [{ status, body: { message: 'x' }, headers: { 'apigw-requestid': 'g', 'retry-after': '7' } }];
    const outcome = await later(verifierWith().verify(NUMBER));

    assert.deepEqual(outcome, { kind, code, requestId: 'g', retryAfter: 7 });
  });
}

for (const [code, action] of [
  ['too_many_requests', 'wait'],
  ['attempts_exhausted', 'use_other_method'],
  ['platform_rejected', 'use_other_method'],
  ['internal_error', 'use_other_method'],
  ['body_too_large', 'fix_request'],
]) {
  test(`${code} is not tried again`, async () => {
    answers['/verify'] = [refusal(400, code, action, { resultCode: '121011' })];
    const outcome = await later(verifierWith().verify(NUMBER));

    assert.deepEqual(outcome, { kind: action, code, resultCode: '121011', requestId: 'r' });
    assert.equal(sent('/verify').length, 1);
  });
}

test('a typing error comes with the field and the reason', async () => {
  const errors = [{ field: 'phoneNum', reason: 'not a mainland mobile number' }];
  answers['/verify'] = [refusal(400, 'invalid_request', 'fix_request', { errors })];
  const outcome = await later(verifierWith().verify('139'));

  assert.deepEqual(outcome.errors, errors);
});

test('a refused preSign ends it, before any token', async () => {
  answers['/presign'] = [refusal(400, 'presign_rejected', 'fix_request')];
  const { kind, code } = await later(verifierWith().verify(NUMBER));

  assert.deepEqual({ kind, code }, { kind: 'fix_request', code: 'presign_rejected' });
  assert.equal(tokens, 0);
});

test('an answer to a preSign that holds a verdict signs nobody in', async () => {
  answers['/presign'] = [MATCH];
  const { kind } = await later(verifierWith().verify(NUMBER));

  assert.equal(kind, 'use_other_method');
});

test('an unreachable API is told from one that refuses this origin', async () => {
  answers['/presign'] = ['lost'];
  const down = await later(verifierWith().prepare());
  answers.probe = async () => new Response('');
  const refused = await later(verifierWith().prepare());

  assert.deepEqual([down.kind, down.code], ['retry', 'api_unreachable']);
  assert.deepEqual([refused.kind, refused.code], ['fix_request', 'origin_not_allowed']);
});

test('on Wi-Fi nothing is signed', async () => {
  globalThis.YDRZ.getConnection = () => ({ netType: 'wifi' });
  const { kind, code } = await later(verifierWith().prepare());

  assert.deepEqual({ kind, code }, { kind: 'use_other_method', code: 'wifi' });
  assert.deepEqual(posted, []);
});

for (const [what, getConnection] of Object.entries({
  missing: undefined,
  throwing: () => { throw new Error('no'); },
  hanging: () => new Promise(() => {}),
  silly: () => 'wifi?',
  empty: () => null,
})) {
  test(`a ${what} getConnection is no obstacle`, async () => {
    globalThis.YDRZ.getConnection = getConnection;
    const { kind } = await later(verifierWith().verify(NUMBER));

    assert.equal(kind, 'verified');
  });
}

for (const [what, getTokenInfo, resultCode] of [
  ['fails', ({ error }) => error({ code: '500', message: '图片请求失败' }), '500'],
  ['succeeds without a token', ({ success }) => success({ code: '110028' }), '110028'],
  ['throws', () => { throw new TypeError('x is undefined'); }, undefined],
  ['says nothing', () => {}, undefined],
]) {
  test(`a getTokenInfo that ${what} leads to the other method`, async () => {
    globalThis.YDRZ.getTokenInfo = getTokenInfo;
    const outcome = await later(verifierWith().prepare());

    assert.equal(outcome.kind, 'use_other_method');
    assert.equal(outcome.code, 'token_unavailable');
    assert.equal(outcome.resultCode, resultCode);
  });
}

test('the SDK is told line, carriers and expandParams as it wants them', async () => {
  const asked = [];
  const { getTokenInfo } = globalThis.YDRZ;
  globalThis.YDRZ.getTokenInfo = (request) => {
    asked.push(request.data);
    getTokenInfo(request);
  };
  await later(verifierWith().prepare());
  await later(verifierWith({ line: 'test', openType: '0', version: '1.0', expandParams: 'phoneNum=1' }).prepare());

  assert.deepEqual(asked, [
    { version: '1.2', appId: '000001', sign: 'c2lnbg==', openType: '1', expandParams: '', isTest: '1' },
    { version: '1.0', appId: '000001', sign: 'c2lnbg==', openType: '0', expandParams: 'phoneNum=1', isTest: '0' },
  ]);
});

test('a second tap with the same number gets the same outcome', async () => {
  const verifier = verifierWith();
  const [first, second] = [verifier.verify(NUMBER), verifier.verify(NUMBER)];

  assert.equal(await later(first), await later(second));
  assert.equal(sent('/verify').length, 1);
});

test('another number has to wait for the first', async () => {
  const verifier = verifierWith();
  const first = verifier.verify(NUMBER);
  const second = await later(verifier.verify('13999990000'));

  assert.deepEqual(second, { kind: 'wait', code: 'in_progress' });
  assert.equal((await later(first)).kind, 'verified');
});

test('dispose ends what is under way, and the verifier can be used again', async () => {
  answers['/verify'] = ['hang', MATCH];
  const verifier = verifierWith();
  const running = verifier.verify(NUMBER);
  for (let turn = 0; turn < 20; turn++) await new Promise((resume) => setImmediate(resume));
  verifier.dispose();

  assert.deepEqual(await later(running), { kind: 'cancelled', code: 'cancelled' });
  assert.equal((await later(verifier.verify(NUMBER))).kind, 'verified');
  assert.equal(tokens, 2);
});

test('a token that comes after dispose is not kept', async () => {
  let late;
  globalThis.YDRZ.getTokenInfo = ({ success }) => (late = success);
  const verifier = verifierWith();
  const preparing = verifier.prepare();
  for (let turn = 0; turn < 20; turn++) await new Promise((resume) => setImmediate(resume));
  verifier.dispose();
  late({ code: '000000', token: 'VM_late', userInformation: 'u' });

  assert.equal((await later(preparing)).kind, 'cancelled');
  globalThis.YDRZ.getTokenInfo = ({ success }) => success({ token: 'VM_new', userInformation: 'u' });
  await later(verifier.verify(NUMBER));
  assert.equal(sent('/verify')[0].body.token, 'VM_new');
});

test('an SDK that was loaded half a day ago is loaded again', async () => {
  const loaded = [];
  const fresh = globalThis.YDRZ;
  delete globalThis.YDRZ;
  globalThis.document = {
    createElement: () => ({ remove() {} }),
    head: {
      append(script) {
        loaded.push(script.src);
        globalThis.YDRZ = fresh;
        script.onload();
      },
    },
  };
  const verifier = verifierWith({ sdkUrl: 'https://sdk.example/sdk.js' });
  await later(verifier.verify(NUMBER));
  now += 11 * 3600_000;
  await later(verifier.verify(NUMBER));
  assert.deepEqual(loaded, ['https://sdk.example/sdk.js']);
  now += 2 * 3600_000;
  await later(verifier.verify(NUMBER));
  delete globalThis.document;

  assert.equal(loaded.length, 2);
});

test('steps are told by name as they start and end', async () => {
  const steps = [];
  globalThis.YDRZ.getConnection = undefined;
  await later(verifierWith({ onStep: ({ name, state }) => steps.push(`${name} ${state}`) }).verify(NUMBER));

  assert.deepEqual(steps, [
    'network skipped', 'presign start', 'presign done', 'sign start', 'sign done', 'token start', 'token done',
    'verify start', 'verify done',
  ]);
});

test('the nonce is a step of its own', async () => {
  const steps = [];
  const verifier = verifierWith({ onStep: ({ name, state }) => steps.push(`${name} ${state}`) });
  await later(verifier.prepare());
  steps.length = 0;
  await later(verifier.verify(NUMBER, { nonce: 'n-1' }));

  assert.deepEqual(steps, ['nonce start', 'nonce done', 'verify start', 'verify done']);
});

for (const missing of ['api', 'appId']) {
  test(`without ${missing} there is no verifier`, () => {
    assert.throws(() => verifierWith({ [missing]: '' }), new TypeError(`createVerifier: ${missing} is missing`));
  });
}
