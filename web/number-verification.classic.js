/* Made of number-verification.js by build.py: edit that. */
var NumberVerification = (function () {
'use strict';
const TOKEN_LIFE = 50000;
const SDK_LIFE = 12 * 3600000;
const RETRIES = 2;
const POLLS = 6;
const PATIENCE = 12000;
const TIMEOUTS = { sdk: 8000, network: 2000, sign: 8000, token: 10000, nonce: 8000, verify: 15000 };
const ACTIONS = ['use_other_method', 'fix_request', 'retry', 'wait'];
const COSTLY = ['platform_error', 'platform_timeout'];
const LOST = ['api_unreachable', 'api_timeout', 'api_error', 'offline', 'in_progress', 'nonce_unavailable'];
const DEVICE = 'number-verification:device';
const CANCELLED = { kind: 'cancelled', code: 'cancelled' };
const DROPPED =
  /[ \t\u00a0\u00ad\u2000-\u2015\u202a-\u202f\u205f\u2060\u2066-\u2069\u2212\u3000\ufe58\ufe63\ufeff\uff0d\-]/g;
const FULL_WIDTH = /[\uff08\uff09\uff0b\uff0e\uff10-\uff19]/g;
const MAINLAND_MOBILE = /^(?:(?:(?:\+|00)?86|\((?:\+|00)?86\))\.?(?:\(0\))?)?(1[3-9]\d)\.?(\d{4})\.?(\d{4})$/;
const MAX_TYPED_CHARACTERS = 64;
function normalise(typed) {
  if (Array.from(typed).length > MAX_TYPED_CHARACTERS) return null;
  const ascii = typed.replace(FULL_WIDTH, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0));
  const found = MAINLAND_MOBILE.exec(ascii.replace(DROPPED, ''));
  return found && found.slice(1).join('');
}
class Stop {
  constructor(outcome) {
    this.outcome = outcome;
  }
}
const stop = (kind, code, resultCode) =>
  new Stop((resultCode ? { kind, code, resultCode } : { kind, code }));
const sdk = () => (typeof YDRZ === 'object' && YDRZ ? YDRZ : undefined);
const offline = () => typeof navigator === 'object' && navigator.onLine === false;
function device(text) {
  try {
    if (text === undefined) return localStorage.getItem(DEVICE) || undefined;
    text ? localStorage.setItem(DEVICE, String(text)) : localStorage.removeItem(DEVICE);
  } catch (error) {
  }
  return undefined;
}
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
function setbackOf(response) {
  const { status, answer } = response;
  const { action, code } = answer;
  if (status >= 400 && ACTIONS.includes(action) && code) return withDetails({ kind: action, code }, response);
  if (status === 429) return withDetails({ kind: 'wait', code: 'too_many_requests' }, response);
  if (status >= 500) return withDetails({ kind: 'retry', code: 'api_error' }, response);
  return withDetails({ kind: 'use_other_method', code: 'unexpected_answer' }, response);
}
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
function createVerifier(config) {
  const { api, appId, onStep = () => {}, now = () => Date.now() } = config;
  if (!api || !appId) throw new TypeError(`createVerifier: ${api ? 'appId' : 'api'} is missing`);
  const base = api.replace(/\/+$/, '');
  const version = config.version || '1.2';
  const timeouts = Object.assign({}, TIMEOUTS, config.timeouts);
  let sdkSince = (typeof performance === 'object' && performance.timeOrigin) || now();
  let answered = false;
  function begin() {
    let held;
    let preparing;
    let running;
    const tasks = new Set();
    let over = false;
    function within(milliseconds, task) {
      return new Promise((resolve, reject) => {
        const limit = typeof AbortController === 'function' ? new AbortController() : undefined;
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
    const sdkStep = (name, code, task) =>
      step(name, task).catch((reason) => {
        const known = reason instanceof Stop && reason.outcome.code !== 'api_timeout';
        throw known ? reason : stop('use_other_method', code, reason && reason.code && String(reason.code));
      });
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
    async function post(name, path, body) {
      try {
        return await step(name, async (signal) => {
          const response = await (config.fetch || fetch)(base + path, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(body),
            credentials: 'omit',
            cache: 'no-store',
            referrerPolicy: 'same-origin',
            signal,
          });
          answered = true;
          const text = await response.text();
          let answer;
          try {
            answer = JSON.parse(text);
          } catch (error) {
          }
          return { status: response.status, answer: answer || {}, headers: response.headers };
        });
      } catch (reason) {
        throw reason instanceof Stop ? reason : stop('retry', offline() ? 'offline' : 'api_unreachable');
      }
    }
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
        const { netType } = (network || {});
        if (/^wi-?fi$/i.test(netType)) throw stop('use_other_method', 'wifi');
      } else {
        onStep({ name: 'network', state: 'skipped' });
      }
      const preSign = await sdkStep('presign', 'sdk_unavailable', () => getSign.call(ydrz, appId, version));
      const signed = await post('sign', '/presign', { preSign });
      const { sign } = signed.answer;
      if (signed.status !== 200 || !sign) {
        const setback = setbackOf(signed);
        if (setback.code === 'presign_rejected') sdkSince = -Infinity;
        throw new Stop(setback);
      }
      const since = now();
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
          const given = (answer) => (answer.token && answer.userInformation ? success : error)(answer);
          getTokenInfo.call(ydrz, { data, success: given, error });
        }),
      );
      held = { token: String(token), userInformation: String(userInformation), since };
    }
    function usable() {
      if (!held || held.sent) return !!held;
      const age = now() - held.since;
      return age >= 0 && age < TOKEN_LIFE;
    }
    async function obtain(source) {
      if (source === undefined) return source;
      try {
        return await step('nonce', async (signal) => {
          const nonce = await (typeof source === 'function' ? source((signal)) : source);
          if (typeof nonce !== 'string' || !nonce) throw nonce;
          return nonce;
        });
      } catch (reason) {
        throw stop('retry', offline() ? 'offline' : 'nonce_unavailable');
      }
    }
    async function send(phoneNum, nonce) {
      const token = (held);
      const known = device();
      token.sent = true;
      const body = { phoneNum, token: token.token, userInformation: token.userInformation, nonce, device: known };
      const response = await post('verify', '/verify', body);
      const { errors } = response.answer;
      if (known && Array.isArray(errors) && errors.some(({ field }) => field === 'device')) {
        device(null); // an API that knows no devices any more
        return send(phoneNum, nonce);
      }
      return outcomeOf(response, nonce);
    }
    async function persist(attempt) {
      const end = now() + PATIENCE;
      for (let tries = 0; ; tries++) {
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
    async function explain(outcome) {
      if (outcome.code !== 'api_unreachable' || answered) return outcome;
      const probe = { mode: 'no-cors', credentials: 'omit', referrerPolicy: 'same-origin' };
      return within(3000, (signal) =>
        (config.fetch || fetch)(base + '/presign', Object.assign(probe, { signal })),
      ).then(
        () => ({ kind: 'fix_request', code: 'origin_not_allowed' }),
        () => (over ? CANCELLED : outcome),
      );
    }
    return {
      prepare() {
        if (!preparing) {
          preparing = persist(async () => {
            if (!usable()) await acquire();
            return ({ kind: 'ready', code: 'ready' });
          }).then((outcome) => {
            preparing = undefined;
            return outcome;
          });
        }
        return preparing;
      },
      verify(phoneNum, { nonce: source } = {}) {
        if (running) {
          if (running.phoneNum === phoneNum) return running.end;
          return Promise.resolve({ kind: 'wait', code: 'in_progress' });
        }
        let nonce;
        const end = persist(async () => {
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
return { normalise: normalise, createVerifier: createVerifier };
})();
