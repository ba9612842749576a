/**
 * A scene for the client by itself: an API and an SDK that answer as the scenario says, and a time that passes
 * only while something is waited for. Runs in a page of the stack's origin: test_client.py.
 */
const API = 'https://api.example.com';
const NUMBER = '13999994444';
const MATCH = { verified: true, resultCode: '000', action: 'login', msgId: 'm', taskId: 't', attemptsLeft: 4 };
const MISMATCH = { verified: false, resultCode: '001', action: 'refuse', attemptsLeft: 3 };
const refusal = (status, code, action, more) => ({ status, body: { code, action, requestId: 'r', ...more } });
const down = () => Promise.reject(new TypeError('Failed to fetch'));
const never = () => new Promise(() => {});

const real = { setTimeout: window.setTimeout, clearTimeout: window.clearTimeout };
const turn = () =>
  new Promise((resume) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = resume;
    channel.port2.postMessage(0);
  });

class Scene {
  constructor() {
    this.answers = { '/presign': [{ sign: 'c2lnbg==' }], '/verify': [MATCH], probe: down };
    this.posted = [];
    this.steps = [];
    this.tokens = 0;
    this.scripts = 0;
    this.now = 1_700_000_000_000;
    this.timers = new Map();
    localStorage.clear();
    window.setTimeout = (task, milliseconds) => {
      const id = {};
      this.timers.set(id, { task, due: this.now + (milliseconds || 0) });
      return id;
    };
    window.clearTimeout = (id) => this.timers.delete(id);
    document.head.appendChild = (script) => {
      this.scripts++;
      script.onload();
    };
    this.ydrz = window.YDRZ = {
      getSign: (appId, version) => `${appId}…${version}`,
      getConnection: () => ({ netType: 'cellular' }),
      getTokenInfo: (request) => {
        this.tokens++;
        this.data = request.data;
        request.success({ code: '000000', token: `VM_${this.tokens}`, userInformation: 'a%2Bb%3D%3D' });
      },
    };
  }

  verifier(config) {
    return NumberVerification.createVerifier({
      api: `${API}/`,
      appId: '000001',
      fetch: (url, options) => this.fetch(url.slice(API.length), options),
      now: () => this.now,
      onStep: ({ name, state }) => this.steps.push(`${name} ${state}`),
      ...config,
    });
  }

  async fetch(path, { body, signal, mode }) {
    this.posted.push({ path, mode, text: body, body: body && JSON.parse(body) });
    if (mode === 'no-cors') return this.answers.probe();
    const queue = this.answers[path];
    const answer = queue.length > 1 ? queue.shift() : queue[0];
    if (answer === 'hang') return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    if (answer === 'lost') return down();
    const { status = 200, headers = {}, text = JSON.stringify(answer.body || answer) } = answer;
    return new Response(text, { status, headers });
  }

  verify(options, verifier = this.verifier()) {
    return this.end(verifier.verify(NUMBER, options));
  }

  /** A member of all that /verify was sent. */
  sent(member) {
    return this.posted.filter(({ path }) => path === '/verify').map(({ body }) => body[member] || '');
  }

  /** What comes of each in turn, equals once. */
  async each(values, task) {
    const found = [];
    for (const value of values) found.push(await task(value));
    return [...new Set(found)];
  }

  async pass(turns) {
    for (let left = turns; left > 0; left--) await turn();
  }

  /** Let time pass until a promise has settled. */
  async end(promise) {
    let settled = false;
    const done = promise.finally(() => (settled = true));
    for (let rounds = 0; !settled && rounds < 500; rounds++) {
      await this.pass(4);
      if (settled || !this.timers.size) continue;
      const [id, { task, due }] = [...this.timers].sort(([, a], [, b]) => a.due - b.due)[0];
      this.timers.delete(id);
      this.now = Math.max(this.now, due);
      task();
    }
    if (!settled) throw new Error('nothing came of it');
    return done;
  }

  close() {
    Object.assign(window, real);
    delete document.head.appendChild;
    delete window.YDRZ;
    localStorage.clear();
  }
}

/** The kind and the code, requests and tokens, of what /verify answers, one after the other. */
const ANSWERS = [
  ['verified match 1 1', MATCH],
  ['refused mismatch 1 1', MISMATCH],
  ['use_other_method unexpected_answer 1 1', { verified: true, action: 'login' }],
  ['use_other_method unexpected_answer 1 1', { verified: true, resultCode: '001', action: 'login' }],
  ['use_other_method unexpected_answer 1 1', { verified: true, resultCode: '000', action: 'constructor' }],
  ['use_other_method unexpected_answer 1 1', { text: '<html>' }],
  ['use_other_method unexpected_answer 1 1', { status: 400, body: MATCH }],
  ['use_other_method unexpected_answer 1 1', { status: 403, text: 'x' }],
  ['wait too_many_requests 1 1', { status: 429, text: 'x' }],
  ['retry api_error 3 1', { status: 503, text: 'x' }],
  ['retry token_rejected 3 3', refusal(422, 'token_rejected', 'retry')],
  ['retry platform_error 2 2', refusal(502, 'platform_error', 'retry')],
  ['retry platform_timeout 2 2', refusal(504, 'platform_timeout', 'retry')],
  ['verified match 2 2', refusal(409, 'token_reused', 'retry'), MATCH],
  ['wait in_progress 7 1', refusal(409, 'in_progress', 'wait')],
  ['verified match 2 1', refusal(409, 'in_progress', 'wait'), MATCH],
  ['wait too_many_requests 1 1', refusal(429, 'too_many_requests', 'wait')],
  ['use_other_method attempts_exhausted 1 1', refusal(429, 'attempts_exhausted', 'use_other_method')],
  ['use_other_method internal_error 1 1', refusal(500, 'internal_error', 'use_other_method')],
  ['fix_request body_too_large 1 1', refusal(413, 'body_too_large', 'fix_request')],
  ['verified match 2 1', 'lost', MATCH],
  ['retry api_timeout 1 1', 'hang'],
];

/** What happened, and what should have. */
const SCENARIOS = {
  async "the request is the wire's, to the byte, and nothing personal is in the outcome"(s) {
    const outcome = await s.verify();
    return [
      [outcome, ...s.posted.map(({ path, text }) => path + text)],
      [
        { kind: 'verified', code: 'match', resultCode: '000', msgId: 'm', taskId: 't', attemptsLeft: 4 },
        '/presign{"preSign":"000001…1.2"}',
        '/verify{"phoneNum":"13999994444","token":"VM_1","userInformation":"a%2Bb%3D%3D"}',
      ],
    ];
  },
  async "a gateway's request identifier, Retry-After and a typing error's field are handed on"(s) {
    const wrong = { errors: [{ field: 'phoneNum', reason: 'x' }] };
    s.answers['/verify'] = [
      { status: 429, text: '', headers: { 'apigw-requestid': 'g', 'retry-after': '7' } },
      refusal(400, 'invalid_request', 'fix_request', wrong),
    ];
    return [
      [await s.verify(), await s.verify()],
      [
        { kind: 'wait', code: 'too_many_requests', requestId: 'g', retryAfter: 7 },
        { kind: 'fix_request', code: 'invalid_request', requestId: 'r', ...wrong },
      ],
    ];
  },
  async 'a refused preSign ends it before any token, and the SDK is loaded again'(s) {
    s.answers['/presign'] = [refusal(400, 'presign_rejected', 'fix_request'), { sign: 'c2lnbg==' }];
    const v = s.verifier();
    const { code } = await s.verify({}, v);
    const { kind } = await s.verify({}, v);
    return [[code, kind, s.tokens, s.scripts], ['presign_rejected', 'verified', 1, 1]];
  },
  async 'a getConnection that is missing, fails, hangs or tells nothing is no obstacle'(s) {
    const kinds = await s.each([undefined, down, never, () => 'wifi?', () => null], async (getConnection) => {
      s.ydrz.getConnection = getConnection;
      return (await s.verify()).kind;
    });
    return [kinds, ['verified']];
  },
  async 'however getTokenInfo fails, there is the other method'(s) {
    const failures = [
      ({ error }) => error({ code: '500' }),
      ({ error }) => error({ code: 103111 }),
      ({ success }) => success({ code: '110028' }),
      () => null.x,
      () => {},
    ];
    const ends = await s.each(failures, async (getTokenInfo) => {
      s.ydrz.getTokenInfo = getTokenInfo;
      const { kind, code, resultCode } = await s.end(s.verifier().prepare());
      return `${kind} ${code} ${resultCode}`;
    });
    return [ends, ['500', '103111', '110028', undefined].map((code) => `use_other_method token_unavailable ${code}`)];
  },
  async 'the SDK is told line, carriers and expandParams as it wants them'(s) {
    const told = await s.each([{}, { line: 'test', openType: '0', version: '1.0', expandParams: 'phoneNum=1' }], async (config) => {
      await s.end(s.verifier(config).prepare());
      return s.data;
    });
    return [
      told,
      [
        { version: '1.2', appId: '000001', sign: 'c2lnbg==', openType: '1', expandParams: '', isTest: '1' },
        { version: '1.0', appId: '000001', sign: 'c2lnbg==', openType: '0', expandParams: 'phoneNum=1', isTest: '0' },
      ],
    ];
  },
  async 'prepare fetches one token however often it is called, and it serves one verification'(s) {
    const v = s.verifier();
    await s.end(Promise.all([v.prepare(), v.prepare()]));
    await s.end(v.prepare());
    const used = await s.each(['first', 'second'], () => s.verify({}, v).then(() => s.tokens));
    return [used, [1, 2]];
  },
  async 'a token is used for fifty seconds, also while the nonce is fetched'(s) {
    const used = [];
    for (const [before, meanwhile] of [[49999, 0], [50000, 0], [-1, 0], [0, 50000]]) {
      const v = s.verifier();
      s.tokens = 0;
      await s.end(v.prepare());
      s.now += before;
      await s.verify({ nonce: () => `${(s.now += meanwhile)}` }, v);
      used.push(s.tokens);
    }
    return [used, [1, 2, 2, 2]];
  },
  async 'a lost answer is asked for again with the same token, even when it has grown old'(s) {
    s.answers['/verify'] = ['hang', MATCH];
    const v = s.verifier({ timeouts: { verify: 11000 } });
    await s.end(v.prepare());
    s.now += 49000;
    await s.verify({}, v);
    return [s.sent('token'), ['VM_1', 'VM_1']];
  },
  async "a second tap gets the first one's outcome, and another number has to wait"(s) {
    const v = s.verifier();
    const [a, b] = [v.verify(NUMBER), v.verify(NUMBER)];
    const { code } = await v.verify('13999990000');
    return [[(await s.end(a)) === (await s.end(b)), code, s.tokens], [true, 'in_progress', 1]];
  },
  async 'dispose ends what is under way, wherever it is, and the verifier can be used again'(s) {
    const found = await s.each([...Array(24).keys()], async (turns) => {
      const v = s.verifier();
      const first = v.verify(NUMBER);
      await s.pass(turns / 4);
      for (let n = 0; n < turns; n++) await null;
      v.dispose();
      const at = s.steps.length;
      const { kind } = await s.end(first);
      const started = s.steps.slice(at).filter((step) => step.endsWith('start')).length;
      return `${kind} ${started} ${(await s.verify({}, v)).kind}`;
    });
    return [found.filter((end) => !end.startsWith('verified')), ['cancelled 0 verified']];
  },
  async 'a token that comes after dispose is not kept'(s) {
    let late;
    const { getTokenInfo } = s.ydrz;
    s.ydrz.getTokenInfo = ({ success }) => (late = success);
    const v = s.verifier();
    const first = v.prepare();
    await s.pass(20);
    v.dispose();
    late({ token: 'VM_late', userInformation: 'u' });
    const { kind } = await s.end(first);
    s.ydrz.getTokenInfo = getTokenInfo;
    await s.verify({}, v);
    return [[kind, ...s.sent('token')], ['cancelled', 'VM_1']];
  },
  async 'an unreachable API is told from one that refuses this origin, and an outage once it has answered from both'(s) {
    s.answers['/presign'] = ['lost'];
    const unreachable = await s.end(s.verifier().prepare());
    s.answers.probe = async () => new Response('');
    const refused = await s.end(s.verifier().prepare());
    Object.assign(s.answers, { '/presign': [{ sign: 'c2lnbg==' }], '/verify': ['lost'] });
    const v = s.verifier();
    const outage = await s.verify({}, v);
    s.answers['/presign'] = ['lost'];
    v.dispose();
    const again = await s.end(v.prepare());
    return [
      [unreachable, refused, outage, again].map(({ code }) => code),
      ['api_unreachable', 'origin_not_allowed', 'api_unreachable', 'api_unreachable'],
    ];
  },
  async 'the nonce is sent, and the receipt of a match alone handed on'(s) {
    const signed = { receipt: 'h.c.s' };
    const found = [];
    for (const [answer, nonce] of [
      ...['n', Promise.resolve('n'), () => 'n', async () => 'n', undefined].map((nonce) => [{ ...MATCH, ...signed }, nonce]),
      ...[undefined, '', null, 7, {}].map((receipt) => [{ ...MATCH, receipt }, 'n']),
      [{ ...MISMATCH, ...signed }, 'n'],
    ]) {
      s.answers['/verify'] = [answer];
      const { code, receipt } = await s.verify({ nonce });
      found.push(`${s.sent('nonce').pop()} ${code} ${receipt}`);
    }
    return [
      [...new Set(found)],
      ['n match h.c.s', ' match h.c.s', 'n match_without_receipt undefined', 'n mismatch undefined'],
    ];
  },
  async 'without a nonce nothing is sent'(s) {
    const none = [down, never, () => null.x, () => 7, () => '', () => undefined, null];
    const found = await s.each(none, (nonce) => s.verify({ nonce }).then(({ kind, code }) => `${kind} ${code}`));
    return [[...found, s.sent('token').length], ['retry nonce_unavailable', 0]];
  },
  async 'the nonce is fetched at the tap, once for all attempts, and again where it failed'(s) {
    let asked = 0;
    const nonce = async () => {
      if (++asked === 1) throw 0;
      return `n-${asked}`;
    };
    s.answers['/verify'] = [refusal(422, 'token_rejected', 'retry'), 'lost', MATCH];
    const v = s.verifier();
    await s.end(v.prepare());
    const before = asked;
    await s.verify({ nonce }, v);
    return [[before, asked, ...s.sent('nonce')], [0, 2, 'n-2', 'n-2']];
  },
  async "a device's text is kept, sent along, replaced, and removed when asked"(s) {
    const given = ['d-1', 'd-2', undefined];
    s.answers['/verify'] = [...given.map((device) => ({ ...MATCH, device })), MISMATCH];
    const v = s.verifier();
    const told = await s.each([1, 2, 3, 4], async () => 'device' in (await s.verify({}, v)));
    v.forget();
    await s.verify({}, v);
    return [[...told, ...s.sent('device')], [false, '', 'd-1', 'd-2', 'd-2', '']];
  },
  async "an API that takes a device's text away, or knows none, is asked without it"(s) {
    localStorage['number-verification:device'] = 'd-0';
    const unknown = refusal(400, 'invalid_request', 'fix_request', { errors: [{ field: 'device', reason: 'unknown' }] });
    s.answers['/verify'] = [unknown, MATCH, { ...MATCH, device: 'd-1' }, { ...MATCH, device: null }, MATCH];
    const v = s.verifier();
    for (let n = 0; n < 4; n++) await s.verify({}, v);
    return [s.sent('device'), ['d-0', '', '', 'd-1', '']];
  },
  async 'storage that fails is no obstacle'(s) {
    s.answers['/verify'] = [{ ...MATCH, device: 'd-1' }];
    const { getItem, setItem } = Storage.prototype;
    Storage.prototype.getItem = Storage.prototype.setItem = () => null.x;
    const { kind } = await s.verify();
    Object.assign(Storage.prototype, { getItem, setItem });
    return [kind, 'verified'];
  },
  async 'without api or appId there is no verifier'(s) {
    const made = await s.each(['api', 'appId'], (name) => new Promise(() => s.verifier({ [name]: '' })).catch(String));
    return [made, ['TypeError: createVerifier: api is missing', 'TypeError: createVerifier: appId is missing']];
  },
};

async function played(scenario) {
  const scene = new Scene();
  try {
    return await scenario(scene);
  } catch (error) {
    return [String(error), 'no error'];
  } finally {
    scene.close();
  }
}

for (const [expected, ...answers] of ANSWERS) {
  SCENARIOS[JSON.stringify(answers)] = async (s) => {
    s.answers['/verify'] = [...answers];
    const { kind, code } = await s.verify();
    return [[kind, code, s.sent('token').length, s.tokens].join(' '), expected];
  };
}

/** The order of an object's members means nothing. */
const text = (value) =>
  JSON.stringify(value, (_, part) =>
    part && typeof part === 'object' && !Array.isArray(part) ? Object.fromEntries(Object.entries(part).sort()) : part,
  );

/** Play everything; return what was not as expected. */
window.play = async () => {
  const wrong = [];
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    const [got, expected] = await played(scenario);
    if (text(got) !== text(expected)) wrong.push(`${name}: ${text(got)}, not ${text(expected)}`);
  }
  return wrong;
};
