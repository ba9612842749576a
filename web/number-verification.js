/**
 * The browser's side of H5 number verification, steps 2 to 13 and 16 of the guide's section 1.2. No dependency, and
 * the syntax of 2017: it runs as it is from Chromium 61 and iOS 11.3 on. What pages use is described in the .d.ts.
 *
 * @import { Nonce, Outcome, Ready, Sdk, SdkAnswer, Setback, Step, Timeouts, Verifier } from './number-verification.d.ts'
 * @typedef {{ status: number, answer: any, headers: Headers }} Answer
 * @typedef {AbortSignal | undefined} Signal
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

/** The API's actions that are no verdict. */
const ACTIONS = ['use_other_method', 'fix_request', 'retry', 'wait'];

/** The platform may have judged: tried again once, as few attempts of a day may end without a verdict. */
const COSTLY = ['platform_error', 'platform_timeout'];

/** Nobody knows whether the request arrived: the same one again gets its one outcome. */
const LOST = ['api_unreachable', 'api_timeout', 'api_error', 'offline', 'in_progress', 'nonce_unavailable'];

const DEVICE = 'number-verification:device';

/** @type {Setback} */
const CANCELLED = { kind: 'cancelled', code: 'cancelled' };

const DROPPED =
  /[ \t\u00a0\u00ad\u2000-\u2015\u202a-\u202f\u205f\u2060\u2066-\u2069\u2212\u3000\ufe58\ufe63\ufeff\uff0d\-]/g;
const FULL_WIDTH = /[\uff08\uff09\uff0b\uff0e\uff10-\uff19]/g;
const MAINLAND_MOBILE = /^(?:(?:(?:\+|00)?86|\((?:\+|00)?86\))\.?(?:\(0\))?)?(1[3-9]\d)\.?(\d{4})\.?(\d{4})$/;
const MAX_TYPED_CHARACTERS = 64;

/** @type {typeof import('./number-verification.d.ts').normalise} */
export function normalise(typed) {
  if (Array.from(typed).length > MAX_TYPED_CHARACTERS) return null;
  const ascii = typed.replace(FULL_WIDTH, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0));
  const found = MAINLAND_MOBILE.exec(ascii.replace(DROPPED, ''));
  return found && found.slice(1).join('');
}

/** Ends the flow in this outcome. */
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
 * Read, replace or (null) remove the text that the API knows this device by.
 *
 * @param {unknown} [text]
 */
function device(text) {
  try {
    if (text === undefined) return localStorage.getItem(DEVICE) || undefined;
    text ? localStorage.setItem(DEVICE, String(text)) : localStorage.removeItem(DEVICE);
  } catch (error) {
    // Storage is blocked or full.
  }
  return undefined;
}

/**
 * A verdict only if all of it says so. With a nonce a receipt is expected.
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
      if ('device' in answer) device(answer.device || null);
      return outcome;
    }
    if (resultCode === '001' && verified === false && action === 'refuse') {
      return withDetails({ kind: 'refused', code: 'mismatch' }, response);
    }
  }
  return setbackOf(response);
}

/**
 * By its `action` alone; by its status where a gateway spoke instead.
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
  const { api, appId, onStep = () => {}, now = () => Date.now() } = config;
  if (!api || !appId) throw new TypeError(`createVerifier: ${api ? 'appId' : 'api'} is missing`);
  const base = api.replace(/\/+$/, '');
  const version = config.version || '1.2';
  /** @type {Timeouts} */
  const timeouts = Object.assign({}, TIMEOUTS, config.timeouts);

  /** An SDK of the page's own was loaded with the page. */
  let sdkSince = (typeof performance === 'object' && performance.timeOrigin) || now();
  /** Whether the API has let this page read an answer: then its origin is allowed. */
  let answered = false;

  /** What one `dispose()` ends: its runs leave nothing to the next session. */
  function begin() {
    /** @type {{ token: string, userInformation: string, since: number, sent?: boolean } | undefined} */
    let held;
    /** @type {Promise<Ready | Setback> | undefined} */
    let preparing;
    /** @type {{ phoneNum: string, end: Promise<Outcome> } | undefined} */
    let running;
    /** @type {Set<() => void>} */
    const tasks = new Set();
    let over = false;

    /**
     * @template T
     * @param {number} milliseconds
     * @param {(signal: Signal) => T | PromiseLike<T>} task
     * @returns {Promise<T>}
     */
    function within(milliseconds, task) {
      return new Promise((resolve, reject) => {
        // Where there is none, a request runs on and nobody listens.
        const limit = typeof AbortController === 'function' ? new AbortController() : undefined;
        /** @param {(value: any) => void} settle @param {unknown} value */
        const end = (settle, value) => {
          clearTimeout(timer);
          tasks.delete(cancel);
          settle(value);
          if (limit) limit.abort();
        };
        const cancel = () => end(reject, new Stop(CANCELLED));
        const timer = setTimeout(() => end(reject, stop('retry', 'api_timeout')), milliseconds);
        tasks.add(cancel);
        new Promise((done) => done(task(limit && limit.signal))).then(
          (value) => end(resolve, value),
          (reason) => end(reject, reason),
        );
      });
    }

    function proceed() {
      if (over) throw new Stop(CANCELLED);
    }

    /**
     * @template T
     * @param {Step['name']} name
     * @param {(signal: Signal) => T | PromiseLike<T>} task
     */
    async function step(name, task) {
      proceed();
      onStep({ name, state: 'start' });
      try {
        const value = await within(timeouts[name === 'presign' ? 'sdk' : name], task);
        proceed();
        onStep({ name, state: 'done' });
        return value;
      } catch (reason) {
        onStep({ name, state: 'failed' });
        throw reason;
      }
    }

    /**
     * However it fails, the outcome is this one.
     *
     * @template T
     * @param {Step['name']} name
     * @param {Setback['code']} code
     * @param {(signal: Signal) => T | PromiseLike<T>} task
     */
    const sdkStep = (name, code, task) =>
      step(name, task).catch((reason) => {
        const known = reason instanceof Stop && reason.outcome.code !== 'api_timeout';
        throw known ? reason : stop('use_other_method', code, reason && reason.code && String(reason.code));
      });

    /** @param {Signal} signal @returns {Promise<Sdk>} */
    function loadSdk(signal) {
      return new Promise((resolve, reject) => {
        const script = document.createElement('script');
        script.onload = () => {
          const loaded = sdk();
          loaded ? resolve(loaded) : reject();
        };
        script.onerror = reject;
        if (signal) signal.addEventListener('abort', () => script.remove());
        script.src = config.sdkUrl || 'https://www.cmpassport.com/NumberAbility/jssdk/jssdk.min.js';
        document.head.appendChild(script);
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
            // Not `no-referrer`: Chromium 70 sends its own origin as null then.
            referrerPolicy: 'same-origin',
            signal,
          });
          answered = true;
          const text = await response.text();
          let answer;
          try {
            answer = JSON.parse(text);
          } catch (error) {
            // The status has to do.
          }
          return { status: response.status, answer: answer || {}, headers: response.headers };
        });
      } catch (reason) {
        throw reason instanceof Stop ? reason : stop('retry', offline() ? 'offline' : 'api_unreachable');
      }
    }

    /** The network is looked at first, so that on Wi-Fi nothing is signed in vain. */
    async function acquire() {
      let ydrz = sdk();
      if (!ydrz || now() - sdkSince > SDK_LIFE) {
        ydrz = await sdkStep('sdk', 'sdk_unavailable', loadSdk);
        sdkSince = now();
      }
      const { getSign, getConnection, getTokenInfo } = ydrz;
      if (!getSign || !getTokenInfo) throw stop('use_other_method', 'sdk_unavailable');

      if (getConnection) {
        const network = await step('network', () => getConnection.call(ydrz, appId)).catch(() => undefined);
        const { netType } = /** @type {any} */ (network || {});
        if (/^wi-?fi$/i.test(netType)) throw stop('use_other_method', 'wifi');
      } else {
        onStep({ name: 'network', state: 'skipped' });
      }

      const preSign = await sdkStep('presign', 'sdk_unavailable', () => getSign.call(ydrz, appId, version));
      const signed = await post('sign', '/presign', { preSign });
      const { sign } = signed.answer;
      if (signed.status !== 200 || !sign) {
        const setback = setbackOf(signed);
        // Perhaps the SDK is as old as the tab: the next attempt loads it again.
        if (setback.code === 'presign_rejected') sdkSince = -Infinity;
        throw new Stop(setback);
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
          const given = (answer) => (answer.token && answer.userInformation ? success : error)(answer);
          getTokenInfo.call(ydrz, { data, success: given, error });
        }),
      );
      held = { token: String(token), userInformation: String(userInformation), since };
    }

    /** One that was sent stays the one to ask again with. */
    function usable() {
      if (!held || held.sent) return !!held;
      const age = now() - held.since;
      return age >= 0 && age < TOKEN_LIFE;
    }

    /**
     * @param {Nonce} [source]
     */
    async function obtain(source) {
      if (source === undefined) return source;
      try {
        return await step('nonce', async (signal) => {
          const nonce = await (typeof source === 'function' ? source(/** @type {AbortSignal} */ (signal)) : source);
          if (typeof nonce !== 'string' || !nonce) throw nonce;
          return nonce;
        });
      } catch (reason) {
        throw stop('retry', offline() ? 'offline' : 'nonce_unavailable');
      }
    }

    /**
     * @param {string} phoneNum
     * @param {string} [nonce]
     * @returns {Promise<Outcome>}
     */
    async function send(phoneNum, nonce) {
      const token = /** @type {NonNullable<typeof held>} */ (held);
      const known = device();
      token.sent = true;
      // userInformation goes on as it came; what is undefined is left out.
      const body = { phoneNum, token: token.token, userInformation: token.userInformation, nonce, device: known };
      const response = await post('verify', '/verify', body);
      const { errors } = response.answer;
      if (known && Array.isArray(errors) && errors.some(({ field }) => field === 'device')) {
        device(null); // an API that knows no devices any more
        return send(phoneNum, nonce);
      }
      return outcomeOf(response, nonce);
    }

    /**
     * @template {Ready | Outcome} T
     * @param {() => Promise<T>} attempt
     * @returns {Promise<T | Setback>}
     */
    async function persist(attempt) {
      const end = now() + PATIENCE;
      for (let tries = 0; ; tries++) {
        /** @type {T | Setback} */
        let outcome;
        try {
          proceed();
          outcome = await attempt();
        } catch (reason) {
          outcome = reason instanceof Stop ? reason.outcome : { kind: 'use_other_method', code: 'unexpected_answer' };
        }
        if (over) return CANCELLED;
        if (!LOST.includes(outcome.code) && outcome.kind !== 'ready') held = undefined;
        const retries = COSTLY.includes(outcome.code) ? 1 : RETRIES;
        const asked = outcome.code === 'in_progress' ? POLLS : outcome.kind === 'retry' ? retries : 0;
        if (tries >= asked || now() > end || outcome.code === 'offline') return explain(outcome);
        await new Promise((resume) => setTimeout(resume, asked === POLLS ? 1000 : 400 * (tries + 1)));
      }
    }

    /**
     * Browsers tell pages nothing of a failed request. If one that asks for no permission is answered, then CORS
     * refuses this page's origin, or a gateway speaks without CORS.
     *
     * @template {Ready | Outcome} T
     * @param {T | Setback} outcome
     * @returns {Promise<T | Setback>}
     */
    async function explain(outcome) {
      if (outcome.code !== 'api_unreachable' || answered) return outcome;
      /** @type {RequestInit} */
      const probe = { mode: 'no-cors', credentials: 'omit', referrerPolicy: 'same-origin' };
      return within(3000, (signal) =>
        (config.fetch || fetch)(base + '/presign', Object.assign(probe, { signal })),
      ).then(
        () => ({ kind: 'fix_request', code: 'origin_not_allowed' }),
        () => (over ? CANCELLED : outcome),
      );
    }

    return {
      /** @type {Verifier['prepare']} */
      prepare() {
        if (!preparing) {
          preparing = persist(async () => {
            if (!usable()) await acquire();
            return /** @type {Ready} */ ({ kind: 'ready', code: 'ready' });
          }).then((outcome) => {
            preparing = undefined;
            return outcome;
          });
        }
        return preparing;
      },

      /** @type {Verifier['verify']} */
      verify(phoneNum, { nonce: source } = {}) {
        if (running) {
          if (running.phoneNum === phoneNum) return running.end;
          return Promise.resolve({ kind: 'wait', code: 'in_progress' });
        }
        /** @type {string | undefined} */
        let nonce;
        const end = persist(async () => {
          // One for all attempts: a repeated request has to be the same.
          const [given] = await Promise.all([nonce || obtain(source), preparing]);
          nonce = given;
          if (!usable()) await acquire();
          return send(phoneNum, nonce);
        }).then((outcome) => {
          running = held = undefined;
          return outcome;
        });
        running = { phoneNum, end };
        return end;
      },

      end() {
        over = true;
        for (const cancel of Array.from(tasks)) cancel();
      },
    };
  }

  let session = begin();
  return {
    prepare: () => session.prepare(),
    verify: (phoneNum, options) => session.verify(phoneNum, options),
    dispose() {
      const ended = session;
      session = begin();
      ended.end();
    },
    forget: () => device(null),
  };
}
