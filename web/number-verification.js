/**
 * The browser's side of H5 number verification, steps 2 to 13 and 16 of the guide's section 1.2:
 * load the platform's SDK, look at the network, have the preSign signed, fetch a token, hand it to
 * the business server with the number. No dependency, no build step; types in the .d.ts beside it.
 *
 *     const verifier = createVerifier({ api: 'https://api.example.com', appId: '300000000000' });
 *     verifier.prepare();                               // when the page opens
 *     const outcome = await verifier.verify(phoneNum);  // when the user taps
 *
 * Where a back end logs in by receipt: `verify(phoneNum, { nonce })`, and hand it `outcome.receipt`.
 *
 * @import { Nonce, Outcome, Ready, Sdk, SdkAnswer, Setback, Step, Timeouts, Verifier } from './number-verification.d.ts'
 * @typedef {{ status: number, answer: any, headers: Headers }} Answer
 */

/** The platform keeps a token for 60 s; the rest is for the way there. */
const TOKEN_LIFE = 50000;
/** The SDK fixes the preSign's timestamp when it is loaded, and the API refuses stale ones. */
const SDK_LIFE = 12 * 3600000;
const RETRIES = 2;
const POLLS = 6;
/** No automatic attempt begins later than this after the tap: nobody waits longer. */
const PATIENCE = 12000;
/** @type {Timeouts} */
const TIMEOUTS = { sdk: 8000, network: 2000, sign: 8000, token: 10000, nonce: 8000, verify: 15000 };

/** The API's actions that are no verdict: they are the kinds of setbacks. */
const ACTIONS = ['use_other_method', 'fix_request', 'retry', 'wait'];

/** These may have cost one of the number's attempts of the day: tried again once, so that a tap costs two at most. */
const COSTLY = ['platform_error', 'platform_timeout'];

/** After these nobody knows whether the request arrived, or none was sent: the same one again gets its one outcome. */
const LOST = ['api_unreachable', 'api_timeout', 'api_error', 'offline', 'in_progress', 'nonce_unavailable'];

/** @type {Setback} */
const CANCELLED = { kind: 'cancelled', code: 'cancelled' };

/** Thrown inside, caught at the border: the flow ends here, in this outcome. */
class Stop {
  /** @param {Setback} outcome */
  constructor(outcome) {
    this.outcome = outcome;
  }
}

/**
 * @param {Exclude<Setback['kind'], 'cancelled'>} kind
 * @param {Setback['code']} code
 * @param {string} [resultCode]
 */
const stop = (kind, code, resultCode) =>
  new Stop(/** @type {Setback} */ (resultCode ? { kind, code, resultCode } : { kind, code }));

/** The SDK may be a property of window or a bare `let`: ask for the name. */
const sdk = () => (typeof YDRZ === 'object' && YDRZ ? YDRZ : undefined);

const offline = () => typeof navigator === 'object' && navigator.onLine === false;

/**
 * What an answer of /verify means: a verdict only if all of it says so. With a nonce a receipt is expected.
 *
 * @param {Answer} response
 * @param {string} [nonce]
 * @returns {Outcome}
 */
function outcomeOf(response, nonce) {
  const { status, answer } = response;
  if (status === 200) {
    const { resultCode, verified, action, receipt } = answer;
    if (resultCode === '000' && verified === true && action === 'login') {
      const signed = typeof receipt === 'string' && receipt;
      const code = signed || nonce === undefined ? 'match' : 'match_without_receipt';
      const outcome = withDetails({ kind: 'verified', code }, response);
      if (signed) outcome.receipt = signed;
      return outcome;
    }
    if (resultCode === '001' && verified === false && action === 'refuse') {
      return withDetails({ kind: 'refused', code: 'mismatch' }, response);
    }
  }
  return setbackOf(response);
}

/**
 * What a refusal means, by its `action` alone; by its status where a gateway spoke instead.
 *
 * @param {Answer} response
 * @returns {Setback}
 */
function setbackOf(response) {
  const { status, answer } = response;
  const { action, code } = answer;
  if (status >= 400 && ACTIONS.includes(action) && code) return withDetails({ kind: action, code }, response);
  if (status === 429) return withDetails({ kind: 'wait', code: 'too_many_requests' }, response);
  if (status >= 500) return withDetails({ kind: 'retry', code: 'api_error' }, response);
  return withDetails({ kind: 'use_other_method', code: 'unexpected_answer' }, response);
}

/**
 * @param {any} outcome
 * @param {Answer} response
 */
function withDetails(outcome, { answer, headers }) {
  for (const name of ['resultCode', 'attemptsLeft', 'msgId', 'taskId', 'errors']) {
    if (answer[name] !== undefined) outcome[name] = answer[name];
  }
  const requestId = answer.requestId || headers.get('apigw-requestid');
  if (requestId) outcome.requestId = requestId;
  const retryAfter = Number(headers.get('retry-after'));
  if (retryAfter > 0) outcome.retryAfter = retryAfter;
  return outcome;
}

/** @type {typeof import('./number-verification.d.ts').createVerifier} */
export function createVerifier(config) {
  const { api, appId, onStep, now = Date.now } = config;
  if (!api || !appId) throw new TypeError(`createVerifier: ${api ? 'appId' : 'api'} is missing`);
  const base = api.replace(/\/+$/, '');
  const version = config.version || '1.2';
  const timeouts = { ...TIMEOUTS, ...config.timeouts };

  /** @type {{ token: string, userInformation: string, since: number, sent?: boolean } | undefined} */
  let held;
  /** @type {Promise<Ready | Setback> | undefined} */
  let preparing;
  /** @type {{ phoneNum: string, end: Promise<Outcome> } | undefined} */
  let running;
  let sdkSince = 0;
  let life = new AbortController();

  /**
   * Run a task that may take so many milliseconds; rejects where it takes longer, or on dispose.
   *
   * @template T
   * @param {number} milliseconds
   * @param {(signal: AbortSignal) => T | PromiseLike<T>} task
   * @returns {Promise<T>}
   */
  function within(milliseconds, task) {
    const { signal } = life;
    return new Promise((resolve, reject) => {
      const limit = new AbortController();
      /** @param {unknown} reason */
      const end = (reason) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', cancel);
        reject(reason);
        limit.abort();
      };
      const cancel = () => end(new Stop(CANCELLED));
      const timer = setTimeout(() => end(stop('retry', 'api_timeout')), milliseconds);
      signal.addEventListener('abort', cancel);
      if (signal.aborted) return cancel();
      new Promise((done) => done(task(limit.signal))).then((value) => {
        resolve(/** @type {T} */ (value));
        end(undefined);
      }, end);
    });
  }

  /**
   * @template T
   * @param {Step['name']} name
   * @param {(signal: AbortSignal) => T | PromiseLike<T>} task
   */
  async function step(name, task) {
    onStep?.({ name, state: 'start' });
    try {
      const value = await within(timeouts[name === 'presign' ? 'sdk' : name], task);
      onStep?.({ name, state: 'done' });
      return value;
    } catch (reason) {
      onStep?.({ name, state: 'failed' });
      throw reason;
    }
  }

  /**
   * A step of the SDK's: however it fails, the outcome is this one.
   *
   * @template T
   * @param {Step['name']} name
   * @param {Setback['code']} code
   * @param {(signal: AbortSignal) => T | PromiseLike<T>} task
   */
  const sdkStep = (name, code, task) =>
    step(name, task).catch((reason) => {
      const known = reason instanceof Stop && reason.outcome.code !== 'api_timeout';
      throw known ? reason : stop('use_other_method', code, reason?.code && String(reason.code));
    });

  /** @param {AbortSignal} signal @returns {Promise<Sdk>} */
  function loadSdk(signal) {
    return new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.onload = () => {
        const loaded = sdk();
        loaded ? resolve(loaded) : reject();
      };
      script.onerror = reject;
      signal.addEventListener('abort', () => script.remove());
      script.src = config.sdkUrl || 'https://www.cmpassport.com/NumberAbility/jssdk/jssdk.min.js';
      document.head.append(script);
    });
  }

  /**
   * @param {'sign' | 'verify'} name
   * @param {string} path
   * @param {Record<string, string | undefined>} body
   */
  async function post(name, path, body) {
    try {
      return await step(name, async (signal) => {
        const response = await (config.fetch || fetch)(base + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
          credentials: 'omit',
          cache: 'no-store',
          // The guide's meta tag makes pages send their whole address to everybody; not from here.
          referrerPolicy: 'no-referrer',
          signal,
        });
        const text = await response.text();
        let answer;
        try {
          answer = JSON.parse(text);
        } catch {
          // A gateway's own words: the status has to do.
        }
        return { status: response.status, answer: answer || {}, headers: response.headers };
      });
    } catch (reason) {
      throw reason instanceof Stop ? reason : stop('retry', offline() ? 'offline' : 'api_unreachable');
    }
  }

  /** Steps 2 to 12. The network is looked at first, so that on Wi-Fi nothing is signed in vain. */
  async function acquire() {
    let ydrz = sdk();
    if (!ydrz || (sdkSince && now() - sdkSince > SDK_LIFE)) {
      ydrz = await sdkStep('sdk', 'sdk_unavailable', loadSdk);
      sdkSince = now();
    }
    const { getSign, getConnection, getTokenInfo } = ydrz;
    if (!getSign || !getTokenInfo) throw stop('use_other_method', 'sdk_unavailable');

    if (getConnection) {
      const network = await step('network', () => getConnection.call(ydrz, appId)).catch((reason) => {
        if (life.signal.aborted) throw reason;
      });
      const { netType } = /** @type {any} */ (network || {});
      if (/^wi-?fi$/i.test(netType)) throw stop('use_other_method', 'wifi');
    } else {
      onStep?.({ name: 'network', state: 'skipped' });
    }

    const preSign = await sdkStep('presign', 'sdk_unavailable', () => getSign.call(ydrz, appId, version));
    const signed = await post('sign', '/presign', { preSign });
    const { sign } = signed.answer;
    if (signed.status !== 200 || !sign) {
      throw new Stop(setbackOf(signed));
    }

    const since = now();
    /** @type {SdkAnswer} */
    const { token, userInformation } = await sdkStep('token', 'token_unavailable', () =>
      new Promise((success, error) => {
        const data = {
          version,
          appId,
          sign,
          openType: config.openType || '1',
          expandParams: config.expandParams || '',
          isTest: config.line === 'test' ? '0' : '1',
        };
        /** @param {SdkAnswer} answer */
        const answered = (answer) => (answer.token && answer.userInformation ? success : error)(answer);
        getTokenInfo.call(ydrz, { data, success: answered, error });
      }),
    );
    held = { token: String(token), userInformation: String(userInformation), since };
  }

  /** Whether the token at hand will do. One that was sent stays the one to ask again with. */
  function usable() {
    if (!held || held.sent) return !!held;
    const age = now() - held.since;
    return age >= 0 && age < TOKEN_LIFE;
  }

  /**
   * The nonce, from wherever the page has it. Without one nothing is sent: the back end would refuse the receipt.
   *
   * @param {Nonce} [source]
   */
  async function obtain(source) {
    if (source === undefined) return source;
    try {
      return await step('nonce', async (signal) => {
        const nonce = await (typeof source === 'function' ? source(signal) : source);
        if (typeof nonce !== 'string' || !nonce) throw nonce;
        return nonce;
      });
    } catch {
      throw stop('retry', offline() ? 'offline' : 'nonce_unavailable');
    }
  }

  /** @param {string} phoneNum @param {string} [nonce] @returns {Promise<Outcome>} */
  async function send(phoneNum, nonce) {
    const { token, userInformation } = /** @type {NonNullable<typeof held>} */ (held);
    /** @type {NonNullable<typeof held>} */ (held).sent = true;
    // userInformation comes URI-encoded and goes on as it is: encoding it again is a known 120020.
    // A nonce that is undefined is left out of the body.
    return outcomeOf(await post('verify', '/verify', { phoneNum, token, userInformation, nonce }), nonce);
  }

  /**
   * Attempt, and attempt again where the outcome says so, within bounds.
   *
   * @template {Ready | Outcome} T
   * @param {() => Promise<T>} attempt
   * @returns {Promise<T | Setback>}
   */
  async function persist(attempt) {
    const { signal } = life;
    const end = now() + PATIENCE;
    for (let tries = 0; ; tries++) {
      /** @type {T | Setback} */
      let outcome;
      try {
        outcome = signal.aborted ? CANCELLED : await attempt();
      } catch (reason) {
        outcome = reason instanceof Stop ? reason.outcome : { kind: 'use_other_method', code: 'unexpected_answer' };
      }
      if (signal.aborted) outcome = CANCELLED;
      if (!LOST.includes(outcome.code) && outcome.kind !== 'ready') held = undefined;
      const retries = COSTLY.includes(outcome.code) ? 1 : RETRIES;
      const asked = outcome.code === 'in_progress' ? POLLS : outcome.kind === 'retry' ? retries : 0;
      if (tries >= asked || now() > end || outcome.code === 'offline') return explain(outcome);
      await new Promise((resume) => setTimeout(resume, asked === POLLS ? 1000 : 400 * (tries + 1)));
    }
  }

  /**
   * A browser tells a page nothing about a failed request. If the API answers a request that asks
   * for no permission, then the network is well and CORS refused this page's origin.
   *
   * @template {Ready | Outcome} T
   * @param {T | Setback} outcome
   * @returns {Promise<T | Setback>}
   */
  async function explain(outcome) {
    if (outcome.code !== 'api_unreachable') return outcome;
    return within(3000, (signal) =>
      (config.fetch || fetch)(base + '/presign', { mode: 'no-cors', credentials: 'omit', referrerPolicy: 'no-referrer', signal }),
    ).then(() => ({ kind: 'fix_request', code: 'origin_not_allowed' }), () => outcome);
  }

  /** @type {Verifier} */
  const verifier = {
    prepare() {
      if (!preparing) {
        preparing = persist(async () => {
          if (!usable()) await acquire();
          return /** @type {Ready} */ ({ kind: 'ready', code: 'ready' });
        }).finally(() => (preparing = undefined));
      }
      return preparing;
    },

    verify(phoneNum, { nonce: source } = {}) {
      if (running) {
        if (running.phoneNum === phoneNum) return running.end;
        return Promise.resolve({ kind: 'wait', code: 'in_progress' });
      }
      /** @type {string | undefined} */
      let nonce;
      const end = persist(async () => {
        // One for all attempts, fetched while the token is: the API wants a repeated request to be the same.
        const [given] = await Promise.all([nonce || obtain(source), preparing]);
        nonce = given;
        if (!usable()) await acquire();
        return send(phoneNum, nonce);
      }).finally(() => (running = held = undefined));
      running = { phoneNum, end };
      return end;
    },

    dispose() {
      life.abort();
      life = new AbortController();
      held = undefined;
    },
  };
  return verifier;
}
