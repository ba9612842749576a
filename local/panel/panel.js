/**
 * The developer's panel of the local stack: what the phone is made of, what the platform does next, and the
 * sixteen steps of the guide's section 1.2 as they happen, with what each message carried. It is no part of
 * the page: it listens to the page's own step events, watches its fetch and its SDK, and reads the
 * platform simulator's journal. Where the page logs in through a business back end, four more steps follow: the
 * receipt's. Everything it shows stays in this tab.
 */

import { receiptBoard } from './receipt.js';

const configuration = JSON.parse(document.getElementById('configuration').textContent);
const api = configuration.api.replace(/\/+$/, '');
const platform = new URL(configuration.sdkUrl).origin;
const business = configuration.business?.replace(/\/+$/, '');

/* ---- the words ---- */

const LANES = ['page', 'server', 'sdk', 'platform'];
const RECEIPT_LANES = ['page', 'business', 'api'];

/** Each step: where its arrow starts and ends; label and reason, Chinese and English; what its row shows at a glance. */
const STEPS = [
  ['page', 'page', ['打开页面', 'The page opens'],
    ['页面带着 referrer 元标签，平台才能看到它的地址。', 'Its referrer meta tag lets the platform see its address, which must be reported there.'], ['GET']],
  ['page', 'sdk', ['加载取号 JS', 'Load the JS SDK'],
    ['SDK 来自平台，加载有时限；加载不到就换登录方式。', 'It comes from the platform, under a timeout. Without it: another way to log in.'], ['GET']],
  ['page', 'sdk', ['获取准签名', 'Ask for a preSign'],
    ['传入 appId 和 version。', 'With appId and version.'], ['appId', 'version']],
  ['sdk', 'page', ['返回准签名 preSign', 'preSign'],
    ['appId + msgId + 时间 + uuid + version，直接拼接。时间是 SDK 加载时手机的时间。', "appId + msgId + timestamp + uuid + version, joined. The time is the phone's, when the SDK was loaded."], ['preSign']],
  ['page', 'server', ['请求签名', 'Ask for its signature'],
    ['服务端只签整串符合格式的 preSign，决不签别的：同一把私钥也签校验请求。', 'The server signs a string only if all of it parses as a preSign of its own appId: the same key signs verifications.'], ['preSign']],
  ['server', 'page', ['返回签名 sign', 'sign'],
    ['客户私钥的 RSA 签名，Base64，一行。', "An RSA signature by the customer's private key, Base64 on one line."], ['sign', 'code']],
  ['page', 'sdk', ['查询网络类型', 'Which network?'],
    ['可选步骤，旧版 SDK 没有。本页最先问它：在 Wi-Fi 上就不必签名了。', 'Optional, and missing in older SDKs. This page asks first: on Wi-Fi nothing is signed in vain.'], ['appId']],
  ['sdk', 'page', ['返回网络类型', 'Network type'],
    ['cellular、wifi 或 unknown。', 'cellular, wifi or unknown.'], ['netType']],
  ['page', 'page', ['是否继续取号', 'Go on?'],
    ['Wi-Fi 上运营商看不到号码：换登录方式。', 'On Wi-Fi no carrier sees the number: another way to log in.'], ['→', '—']],
  ['page', 'sdk', ['获取 token', 'Ask for a token'],
    ['带上 sign。SDK 先发一个图片请求，运营商网关在其中插入号码。', "With sign. The SDK sends an image request first, into which the carrier's gateway inserts the number."], ['sign']],
  ['platform', 'sdk', ['平台验签并发出 token', 'Token, after its checks'],
    ['平台用客户公钥验签，核对 origin 和 referer。', "The platform verifies the signature with the customer's public key and checks origin and referer."], ['token', 'resultCode']],
  ['sdk', 'page', ['回调', 'Callback'],
    ['token 一分钟内有效、只能用一次；userInformation 原样上送。', 'The token lives one minute and for one use; userInformation goes on exactly as it is.'], ['code', 'message']],
  ['page', 'server', ['号码与 token', 'Number and token'],
    ['token 超过 50 秒，页面会先换一个新的。', 'If the token is older than 50 seconds, the page fetches a fresh one first.'], ['phoneNum', 'token']],
  ['server', 'platform', ['请求本机校验', 'Verify, please'],
    ['号码 + appKey + 时间用平台公钥加密；整条请求用客户私钥签名；先扣一次当天次数。', 'number + appKey + timestamp, encrypted for the platform; the whole request signed; one attempt of the day reserved.'], ['phoneNum']],
  ['platform', 'server', ['返回校验结果', 'Verdict'],
    ['000 是本机，001 不是；其他返回码都不是结论。', "000: this SIM's. 001: not. Any other code is no verdict."], ['resultCode', 'verdict', 'fault']],
  ['server', 'page', ['告诉页面', 'What the page is told'],
    ['页面只看 action：login、refuse、retry、use_other_method……', 'The page goes by action alone: login, refuse, retry, use_other_method, …'], ['action', 'code']],
];

/** What comes after them where a business back end logs in by receipt. */
const RECEIPT_STEPS = [
  ['page', 'business', ['领取 nonce', 'Ask for a nonce'],
    ['点登录时、第 13 步之前领取：后端记在会话里，只用一次；第 13 步带上它，收据里就有它。', 'At the tap, before step 13. The back end keeps it with the session, for one use; step 13 carries it, and the receipt has it.'], ['nonce']],
  ['page', 'business', ['转交收据', 'Hand the receipt on'],
    ['页面不作判断，原样转交。', 'The page judges nothing: it passes on what it got.'], ['receipt']],
  ['business', 'api', ['取公钥', 'Public keys'],
    ['后端只认这个固定地址，缓存五分钟。面板也取一份，对照 kid。', 'The back end trusts this one address, and keeps the answer for five minutes. The panel fetches it too, to compare the kid.'], ['kid']],
  ['business', 'page', ['后端说了算', 'The back end decides'],
    ['签名、签发方、页面来源、有效期、nonce、是否用过，都对才算登录。', 'Signature, issuer, origin, life, nonce, first use: all of it right, or nobody is logged in.'],
    ['phoneNum', 'phoneNumMasked', 'phoneNumHash', 'code', 'fetch']],
];

const WORDS = {
  zh: {
    title: '开发者面板', lead: '只在本地环境出现：用户手机背后发生的一切，都在这里。', restart: '重新打开页面',
    phone: '手机', sim: 'SIM 卡号码', simWrong: '要 11 位手机号，以 1 开头；留空就是取不到号。', noSim: '取不到号（其他运营商）', network: '网络',
    cellular: '移动数据', wifi: 'Wi-Fi', unknown: '未知', vpn: 'VPN', typeMatch: '填入本机号码', typeOther: '填入别的号码',
    platform: '平台', fault: '接下来', times: '次数', once: '下一次', thrice: '接下来三次', always: '一直', arm: '设置', clear: '恢复正常',
    normal: '一切正常', armed: '已设置', expire: '让 token 过期', expired: '已发出的 token 都过期了',
    reset: '重置今天的次数', afresh: '所有号码今天的次数都恢复了，可以再登录', notReset: '次数没有恢复：本地环境没有回应',
    sheet: '开放平台填报单', publicKey: '公钥', referers: 'referer 地址', origins: 'origin 地址', addresses: '出口 IP', dailyLimit: '每号每天次数',
    steps: '十六步', lanes: ['页面', '业务服务端', 'JS SDK', '平台'], receiptSteps: '收据：业务后端只认它', receiptLanes: ['页面', '业务后端', '业务服务端'], open: '开发者面板', waiting: '尚未发生', again: '第 {n} 次', skipped: '这版 SDK 没有这个方法',
    groups: ['本机校验', '加载 SDK', '取 token'],
  },
  en: {
    title: "Developer's panel", lead: "Only on the local stack: all that happens behind the user's phone.", restart: 'Reopen the page',
    phone: 'The phone', sim: 'SIM number', simWrong: '11 digits, starting with 1; left empty, no number is seen.', noSim: 'No number (another carrier)', network: 'Network',
    cellular: 'Cellular', wifi: 'Wi-Fi', unknown: 'Unknown', vpn: 'VPN', typeMatch: 'Type this number', typeOther: 'Type another',
    platform: 'The platform', fault: 'Next', times: 'How often', once: 'once', thrice: 'three times', always: 'always', arm: 'Arm', clear: 'Back to normal',
    normal: 'All is well', armed: 'Armed', expire: 'Expire the token', expired: 'All tokens so far are too old now',
    reset: "Reset today's attempts", afresh: 'All numbers have their whole day again: sign in', notReset: 'Not reset: the local stack does not answer',
    sheet: 'What is entered in the open platform', publicKey: 'Public key', referers: 'Referers', origins: 'Origins', addresses: 'Outgoing addresses', dailyLimit: 'Attempts per number and day',
    steps: 'The sixteen steps', lanes: ['Page', 'Business server', 'JS SDK', 'Platform'], receiptSteps: 'The receipt: what the back end goes by', receiptLanes: ['Page', 'Back end', 'Business server'], open: "Developer's panel", waiting: 'Not yet', again: '× {n}', skipped: 'This SDK has no such method',
    groups: ['Verification', 'Loading the SDK', 'Fetching the token'],
  },
};

/** What can go wrong: the group it is listed in, what the simulator is asked for, Chinese and English. */
const FAULTS = [
  [0, { fault: 'resultCode', resultCode: '999999' }, '999999 系统错误', '999999 system error'],
  [0, { fault: 'resultCode', resultCode: '120020' }, '120020 token 校验失败', '120020 token rejected'],
  [0, { fault: 'resultCode', resultCode: '121011' }, '121011 当天次数用完', '121011 attempts used up'],
  [0, { fault: 'resultCode', resultCode: '130018' }, '130018 验签失败', '130018 signature rejected'],
  [0, { fault: 'resultCode', resultCode: '110004' }, '110004 IP 不在白名单', '110004 address not on the white list'],
  [0, { fault: 'delay', seconds: 3 }, '慢 3 秒', '3 seconds late'],
  [0, { fault: 'delay', seconds: 9 }, '9 秒不回应', 'silent for 9 seconds'],
  [0, { fault: 'drip', seconds: 0.5 }, '一个字节一个字节地回', 'one byte at a time'],
  [0, { fault: 'reset', when: 'before' }, '断开连接（处理前）', 'connection reset, before'],
  [0, { fault: 'reset', when: 'after' }, '断开连接（处理后）', 'connection reset, after'],
  [0, { fault: 'html', status: 502 }, '返回 HTML 错误页', 'an HTML error page'],
  [0, { fault: 'truncated' }, '返回半个 JSON', 'half a JSON'],
  [0, { fault: 'wrongMsgId' }, 'msgId 不对', 'wrong msgId'],
  [0, { fault: 'oversized' }, '返回 1 MB', 'a megabyte'],
  [1, { fault: 'unavailable', on: 'sdk' }, 'SDK 加载失败', 'the SDK does not load'],
  [1, { fault: 'noGetConnection', on: 'sdk' }, 'SDK 没有 getConnection', 'an SDK without getConnection'],
  [2, { fault: 'resultCode', resultCode: '170001', on: 'getToken' }, '170001 未报备来源', '170001 origin not reported'],
  [2, { fault: 'unavailable', on: 'getMobile' }, '图片请求失败', 'the image request fails'],
];

let words = WORDS.zh;
let second = 0;

/* ---- small tools ---- */

function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

/** Translated text: kept as a pair, so that the page's language switch reaches it. */
function t(tag, attributes, key) {
  const element = h(tag, attributes);
  element.dataset.word = key;
  return element;
}

const short = (value) => (value.length > 30 ? `${value.slice(0, 12)}…${value.slice(-6)}` : value);

function stored(name, otherwise) {
  const value = localStorage.getItem(`simulator.${name}`);
  return value === null ? otherwise : value;
}

const nativeFetch = window.fetch.bind(window);
const control = (method, path, body) =>
  nativeFetch(`${platform}/simulator/${path}`, { method, body: body && JSON.stringify(body), referrerPolicy: 'no-referrer' })
    .then((response) => response.json());

/* ---- the steps ---- */

/** A row of a diagram, with an arrow between two of its lanes. */
function newRow(number, from, to, lanes) {
  const values = h('dl', { class: 'values' });
  const why = h('p', { class: 'why' });
  const count = h('span', { class: 'count', hidden: true });
  const gist = h('span', { class: 'gist' });
  const label = h('span', { class: 'label' });
  const arrow = h('span', { class: 'arrow' });
  const a = lanes.indexOf(from);
  const b = lanes.indexOf(to);
  arrow.dataset.way = a === b ? 'self' : a < b ? 'right' : 'left';
  arrow.style.left = `${((Math.min(a, b) + 0.5) * 100) / lanes.length}%`;
  arrow.style.width = `${(Math.abs(a - b) * 100) / lanes.length}%`;
  const summary = h('summary', {}, h('span', { class: 'number' }, String(number)),
    h('span', { class: 'track', 'aria-hidden': 'true' }, arrow), h('span', { class: 'what' }, label, count, gist));
  const row = h('details', { class: 'step', 'data-state': 'waiting' }, summary, h('div', { class: 'inside' }, why, values));
  return { row, label, why, values, count, gist, times: 0, shown: [] };
}

const ALL_STEPS = business ? [...STEPS, ...RECEIPT_STEPS] : STEPS;
const rows = ALL_STEPS.map(([from, to], index) => newRow(index + 1, from, to, index < STEPS.length ? LANES : RECEIPT_LANES));

/** Put a step into a state, with what its message carried: [name, value] pairs. */
function light(number, state, carried) {
  const step = rows[number - 1];
  step.row.dataset.state = state;
  if (carried) note(number, carried, []);
  // The nonce comes out of turn: the eye stays with the sixteen.
  if (state !== 'waiting' && number !== 17) follow(step.row);
}

/** Show what a step's message carried, beside what is shown already. */
function note(number, carried, before = rows[number - 1].shown) {
  const step = rows[number - 1];
  step.shown = [...before, ...carried].filter(([, value]) => value !== undefined && value !== null && value !== '');
  const texts = step.shown.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]);
  step.values.replaceChildren(...texts.flatMap(([name, text]) => [h('dt', {}, name), h('dd', {}, short(text))]));
  const gist = ALL_STEPS[number - 1][4];
  step.gist.textContent = texts.filter(([name]) => gist.includes(name)).map(([, text]) => short(text)).join(' · ');
}

/** A step begins, perhaps not for the first time. */
function begin(number, carried) {
  const step = rows[number - 1];
  step.times++;
  step.count.hidden = step.times < 2;
  step.count.textContent = words.again.replace('{n}', step.times);
  light(number, 'active', carried);
}

/** These have not happened yet, this time. */
function dim(first, last) {
  for (let number = first; number <= last; number++) light(number, 'waiting', []);
}

function follow(row) {
  if (!wide.matches || !row.offsetParent) return;
  row.scrollIntoView({ block: 'nearest' });
}

const STEP_OF = { sdk: 2, presign: 3, sign: 5, network: 7, token: 10, verify: 13, nonce: 17 };
const DIMMED = { sdk: [2, 12], network: [3, 12], verify: [14, 16], nonce: [17, 20] };
const ASKED = { network: [['appId', configuration.appId]], presign: [['appId', configuration.appId], ['version', configuration.version]] };

document.addEventListener('number-verification:step', ({ detail: { name, state } }) => {
  const number = STEP_OF[name];
  if (!number) return;
  if (state === 'start') {
    if (DIMMED[name]) dim(...DIMMED[name]);
    begin(number, ASKED[name]);
    if (name === 'verify') {
      lately = '';
      setTimeout(read, 250);
    }
  } else if (state === 'skipped') {
    dim(3, 12);
    for (const skipped of [7, 8, 9]) light(skipped, 'skipped', [['—', words.skipped]]);
  } else {
    light(number, state, name === 'sdk' ? [['GET', new URL(configuration.sdkUrl).pathname]] : undefined);
    if (name === 'token' && state === 'failed') light(12, 'failed');
    if (['sdk', 'token', 'verify'].includes(name)) read();
  }
  watchSdk();
});

/** What the SDK is asked and answers: its methods are wrapped where it lies, and do what they did. */
function watchSdk() {
  const ydrz = window.YDRZ;
  if (!ydrz || ydrz.watched) return;
  Object.defineProperty(ydrz, 'watched', { value: true });
  const { getSign, getConnection, getTokenInfo } = ydrz;
  ydrz.getSign = (...given) => {
    const preSign = getSign.apply(ydrz, given);
    light(4, 'done', [['preSign', preSign]]);
    return preSign;
  };
  if (getConnection) {
    ydrz.getConnection = (...given) => {
      const answer = getConnection.apply(ydrz, given);
      const wifi = answer?.netType === 'wifi';
      light(8, 'done', [['netType', answer?.netType]]);
      light(9, wifi ? 'stopped' : 'done', [['→', wifi ? 'use_other_method' : 'getTokenInfo']]);
      return answer;
    };
  }
  ydrz.getTokenInfo = (request) => {
    const { sign, openType, isTest, expandParams } = request.data;
    light(10, 'active', [['sign', sign], ['openType', openType], ['isTest', isTest], ['expandParams', expandParams]]);
    const watched = (callback, state) => (answer) => {
      const { code, message, token, userInformation } = answer;
      light(12, state, [['code', code], ['message', message], ['token', token], ['userInformation', userInformation]]);
      callback(answer);
    };
    getTokenInfo.call(ydrz, {
      ...request,
      success: watched(request.success, 'done'),
      error: watched(request.error, 'failed'),
    });
  };
}

/** What passes between the page and the business server, and its back end: the steps that ask and that tell. */
const WATCHED = {
  [`${api}/presign`]: [5, 6],
  [`${api}/verify`]: [13, 16],
  [`${business}/nonce`]: [17, 17],
  [`${business}/login`]: [18, 20],
};
window.fetch = async (resource, options = {}) => {
  const [ask, tell] = (options.method === 'POST' && WATCHED[resource]) || [];
  if (!ask) return nativeFetch(resource, options);
  light(ask, 'active', [['POST', new URL(resource, location.href).pathname], ...Object.entries(JSON.parse(options.body))]);
  try {
    const response = await nativeFetch(resource, options);
    const answer = await response.clone().json().catch(() => ({}));
    const { title, detail, type, status, ...rest } = answer;
    const good = response.ok && answer.action !== 'refuse';
    light(tell, good ? 'done' : response.ok ? 'stopped' : 'failed', [['HTTP', String(response.status)], ...Object.entries(rest)]);
    if (ask === 13 && answer.receipt) receipts?.keep(answer.receipt);
    if (ask === 18) showKeys();
    return response;
  } catch (reason) {
    light(tell, 'failed', [['fetch', reason.name === 'AbortError' ? 'timeout' : 'network or CORS']]);
    throw reason;
  }
};

async function showKeys() {
  light(18, 'done');
  light(19, 'active', [['GET', '/.well-known/jwks.json']]);
  const kids = await receipts.publishedKeys().catch(() => undefined);
  light(19, kids ? 'done' : 'failed', [['GET', '/.well-known/jwks.json'], ...(kids || ['—']).map((kid) => ['kid', kid])]);
}

/** What the platform saw, from the simulator's journal: all of it that comes after this page was opened. */
let last = control('GET', 'journal').then(({ entries }) => entries.reduce((newest, { id }) => Math.max(newest, id), 0));
async function read() {
  const { entries } = await control('GET', `journal?after=${await last}`);
  for (const entry of entries) {
    if (entry.id > (await last)) place(entry);
    last = Math.max(await last, entry.id);
  }
  refreshFaults();
}

function place({ step, request, response, resultCode, ...notes }) {
  const body = parsed(request.body)?.body || {};
  const fault = notes.fault && describe(notes.fault);
  if (step === 10) {
    note(10, [['getMobile.htm', notes.insertedNumber ? `+ ${notes.insertedNumber}` : '—'], ['fault', fault]]);
  } else if (step === 11) {
    const token = parsed(response.body)?.body?.token;
    light(11, token ? 'done' : 'failed', [
      ['POST', request.path], ['origin', request.origin], ['referer', request.referer], ['signature', verified(notes.signatureVerified)],
      ['resultCode', resultCode], ['reason', notes.reason], ['token', token], ['fault', fault],
    ]);
  } else if (step === 14) {
    const header = parsed(request.body)?.header || {};
    light(14, 'done', [
      ['msgId', header.msgId], ['timestamp', header.timestamp], ['phoneNum', body.phoneNum], ['sign', body.sign],
      ['token', body.token], ['userInformation', body.userInformation], ['expandParams', body.expandParams],
    ]);
    const state = resultCode === '000' ? 'done' : resultCode === '001' ? 'stopped' : 'failed';
    light(15, notes.fault && state === 'done' ? 'failed' : state, [
      ['signature', verified(notes.signatureVerified)], ['decrypted', notes.phoneNum], ['resultCode', resultCode],
      ['verdict', notes.verdict], ['reason', notes.reason], ['fault', fault],
    ]);
  }
}

const verified = (yes) => (yes === undefined || yes === null ? undefined : yes ? '✓' : '✗');

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/* ---- controls ---- */

/** As the page reads a number: spaces, hyphens, full width and +86 are no mistakes. */
const digits = (text) => text.normalize('NFKC').replace(/[\s-]/g, '').replace(/^(\+|00)?86(?=\d{11}$)/, '');

/** Phone and network are read when the page opens, as a phone would: open it again. */
function set(name, value) {
  localStorage.setItem(`simulator.${name}`, value);
  location.reload();
}

const simNumber = stored('sim', '13999994444');
const otherNumber = (number) => number.slice(0, 10) + ((Number(number[10]) + 1) % 10);

function typeIn(number) {
  const input = document.getElementById('phone');
  input.focus();
  input.value = number;
  input.dispatchEvent(new Event('input', { bubbles: true }));
}

const sim = h('input', { id: 'panel-sim', inputmode: 'numeric', autocomplete: 'off', maxlength: '20', value: simNumber, placeholder: '—', 'aria-describedby': 'panel-sim-wrong' });
const simWrong = h('p', { class: 'wrong', id: 'panel-sim-wrong', role: 'status' });
sim.addEventListener('change', () => {
  const number = digits(sim.value);
  if (number === '' || /^1[3-9]\d{9}$/.test(number)) set('sim', number);
  else judgeSim(true);
});
sim.addEventListener('input', () => judgeSim(false));

function judgeSim(wrong) {
  sim.setAttribute('aria-invalid', String(wrong));
  simWrong.textContent = wrong ? words.simWrong : '';
}

const noSim = h('input', { type: 'checkbox', id: 'panel-no-sim' });
noSim.checked = simNumber === '';
noSim.addEventListener('change', () => set('sim', noSim.checked ? '' : '13999994444'));

const network = h('fieldset', { class: 'segments' }, t('legend', {}, 'network'),
  ...['cellular', 'wifi', 'unknown', 'vpn'].map((value) => {
    const input = h('input', { type: 'radio', name: 'panel-network', id: `panel-${value}`, value });
    input.checked = stored('network', 'cellular') === value;
    input.addEventListener('change', () => set('network', value));
    return h('span', {}, input, t('label', { for: `panel-${value}` }, value));
  }));

/** What the simulator knows of the business: as it is to be pasted into the open platform. */
const sheet = h('dl', { class: 'values' });
control('GET', 'customer').then((customer) => {
  const fields = ['publicKey', 'referers', 'origins', 'addresses', 'dailyLimit'];
  sheet.replaceChildren(...fields.flatMap((name) => [t('dt', {}, name), h('dd', {}, String(customer[name]))]));
  speak();
});

const fault = h('select', { id: 'panel-fault' });
const times = h('select', { id: 'panel-times' },
  ...[['1', 'once'], ['3', 'thrice'], ['0', 'always']].map(([value, key]) => t('option', { value }, key)));
const armed = h('p', { class: 'armed', role: 'status' });

async function arm() {
  const [, wanted] = FAULTS[fault.value];
  await control('POST', 'faults', { ...wanted, times: Number(times.value) });
  if (wanted.on) location.reload();
  else refreshFaults('');
}

function describe(wanted) {
  const same = ([, known]) => Object.entries(known).every(([name, value]) => name === 'on' || String(wanted[name]) === String(value));
  const known = FAULTS.find(same);
  return known ? known[2 + second] : wanted.fault;
}

/** What the last button did: said until the next login, or the next button. */
let lately = '';
async function refreshFaults(said = lately) {
  lately = said;
  const { faults } = await control('GET', 'faults').catch(() => ({ faults: [] }));
  const text = lately || (faults.length
    ? `${words.armed}: ${faults.map((each) => `${describe(each)}${each.times === 1 ? '' : each.times ? ` × ${each.times}` : ' ∞'}`).join(', ')}`
    : words.normal);
  if (armed.textContent !== text) armed.textContent = text;
  armed.dataset.on = String(faults.length > 0);
  clear.disabled = faults.length === 0;
}

/** Past the page's fetch: what the panel does is none of the steps. */
async function resetAttempts() {
  const { ok } = await nativeFetch('/panel/attempts', { method: 'DELETE', referrerPolicy: 'no-referrer' }).catch(() => ({}));
  refreshFaults(ok ? words.afresh : words.notReset);
}

const clear = t('button', { type: 'button', onclick: () => control('DELETE', 'faults').then(() => refreshFaults('')) }, 'clear');

function diagramOf(lanes, words, steps) {
  const track = h('span', { class: 'track', 'data-lanes': words }, ...lanes.map(() => h('span')));
  const head = h('div', { class: 'lanes', 'aria-hidden': 'true' }, h('span'), track, h('span'));
  const diagram = h('div', { class: 'diagram' }, head, ...steps.map(({ row }) => row));
  diagram.style.setProperty('--count', lanes.length);
  return diagram;
}

const receipts = business ? receiptBoard({ h, api, business, ask: nativeFetch }) : undefined;

const inside = h('div', { class: 'panel-body', id: 'panel-body' },
  h('div', { class: 'head' }, h('div', {}, t('h2', {}, 'title'), t('p', { class: 'quiet' }, 'lead')),
    t('button', { type: 'button', onclick: () => location.reload() }, 'restart')),
  h('div', { class: 'controls' },
    h('section', {}, t('h3', {}, 'phone'),
      h('div', { class: 'phone-pair' }, h('div', {}, t('label', { for: 'panel-sim' }, 'sim'), sim, simWrong), network),
      h('div', { class: 'row' }, noSim, t('label', { for: 'panel-no-sim' }, 'noSim')),
      h('div', { class: 'row' },
        t('button', { type: 'button', onclick: () => typeIn(simNumber || '13999994444') }, 'typeMatch'),
        t('button', { type: 'button', onclick: () => typeIn(otherNumber(simNumber || '13999994444')) }, 'typeOther'))),
    h('section', {}, t('h3', {}, 'platform'),
      h('div', { class: 'pair' }, h('div', {}, t('label', { for: 'panel-fault' }, 'fault'), fault),
        h('div', {}, t('label', { for: 'panel-times' }, 'times'), times)),
      armed,
      h('div', { class: 'row' }, t('button', { type: 'button', class: 'main', onclick: arm }, 'arm'), clear,
        t('button', { type: 'button', onclick: () => control('DELETE', 'tokens').then(() => refreshFaults(words.expired)) }, 'expire'),
        t('button', { type: 'button', onclick: resetAttempts }, 'reset')))),
  t('h3', {}, 'steps'),
  diagramOf(LANES, 'lanes', rows.slice(0, STEPS.length)),
  h('details', { class: 'sheet' }, t('summary', {}, 'sheet'), sheet),
  ...(receipts ? [t('h3', {}, 'receiptSteps'), diagramOf(RECEIPT_LANES, 'receiptLanes', rows.slice(STEPS.length)), receipts.board] : []));

const handle = h('button', { type: 'button', class: 'panel-handle', 'aria-controls': 'panel-body', 'aria-expanded': 'false' });
const scroller = h('aside', { class: 'panel' }, handle, inside);
handle.addEventListener('click', () => {
  const open = scroller.toggleAttribute('data-open');
  handle.setAttribute('aria-expanded', String(open));
  if (open) scroller.scrollIntoView({ block: 'start' });
});

const wide = matchMedia('(min-width: 900px)');
function speak() {
  second = document.documentElement.lang.startsWith('zh') ? 0 : 1;
  words = second ? WORDS.en : WORDS.zh;
  scroller.lang = second ? 'en' : 'zh-CN';
  scroller.setAttribute('aria-label', words.title);
  handle.textContent = words.open;
  for (const element of scroller.querySelectorAll('[data-word]')) element.textContent = words[element.dataset.word];
  for (const track of scroller.querySelectorAll('[data-lanes]')) [...track.children].forEach((lane, index) => (lane.textContent = words[track.dataset.lanes][index]));
  rows.forEach(({ label, why, count, times: n }, index) => {
    label.textContent = ALL_STEPS[index][2][second];
    why.textContent = ALL_STEPS[index][3][second];
    count.textContent = words.again.replace('{n}', n);
  });
  const chosen = fault.value;
  fault.replaceChildren(...words.groups.map((label, group) => h('optgroup', { label },
    ...FAULTS.flatMap(([in_, , zh, en], index) => (in_ === group ? [h('option', { value: String(index) }, second ? en : zh)] : [])))));
  fault.value = chosen || '0';
  receipts?.speak(second);
  judgeSim(sim.getAttribute('aria-invalid') === 'true');
  refreshFaults('');
}

document.body.classList.add('with-panel');
document.body.append(scroller);
new MutationObserver(speak).observe(document.documentElement, { attributeFilter: ['lang'] });
speak();
light(1, 'done', [['GET', location.origin + location.pathname], ['referrer', document.querySelector('meta[name=referrer]')?.content]]);
