/**
 * The developer's panel, receipts: what the receipt at hand says, how long it still lives, and what becomes of
 * whoever tries to cheat with it. Each attempt goes to the business back end for real, past the page, and what
 * is shown is the back end's own answer.
 */

const WORDS = {
  zh: {
    receipt: '手里的收据', none: '号码核对通过后，收据的内容显示在这里。', header: '头部', claims: '声明', keys: '公钥（JWKS）',
    lives: '还有 {n} 秒有效', dead: '已过期', cheat: '拿它作弊，看后端认不认', hint: '每个按钮都真的向业务后端发请求，右边是后端的回答。',
    accepted: '被接受了', unreachable: '连不上', wait: '（还要 {n} 秒）',
  },
  en: {
    receipt: 'The receipt at hand', none: 'Once a number is verified, its receipt is shown here.', header: 'Header', claims: 'Claims', keys: 'Public keys (JWKS)',
    lives: 'lives for {n} s more', dead: 'expired', cheat: 'Cheat with it: does the back end fall for it?', hint: "Each button really asks the business back end; its answer is on the right.",
    accepted: 'accepted', unreachable: 'not reached', wait: ' (in {n} s)',
  },
};

/** The back end forgives clocks this many seconds, and its own may differ by one. */
const LEEWAY = 6;

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
const encode = (object) => base64url(new TextEncoder().encode(JSON.stringify(object)));
const decode = (part) =>
  JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0))));

/** Read a compact JWS without checking it: that is the back end's part. */
function read(receipt) {
  const [header, payload, signature] = receipt.split('.');
  return { receipt, header: decode(header), claims: decode(payload), signature };
}

/** The claims with another number in them, whatever form it has. */
function altered(claims) {
  const name = ['phoneNumMasked', 'phoneNumHash', 'phoneNumJwe'].find((form) => form in claims);
  const number = claims[name];
  return { ...claims, [name]: number.slice(0, -1) + (number.endsWith('0') ? '1' : '0') };
}

/** A receipt as the API would make it, but for whose key signs it. */
async function ownSigned({ header, claims }, nonce) {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  const now = Math.floor(Date.now() / 1000);
  const text = `${encode({ ...header, kid: 'my-own-key' })}.${encode({ ...claims, nonce, iat: now, exp: now + 120 })}`;
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, new TextEncoder().encode(text));
  return `${text}.${base64url(new Uint8Array(signature))}`;
}

/** Each way to cheat: the button, what it does, the receipt that it makes of the one at hand and a fresh nonce. */
const CHEATS = [
  ['forge', ['改号码', 'Forge'], ['改掉声明里的号码，签名照旧', 'Another number in the claims, the signature as it was'],
    ({ receipt, claims }) => receipt.split('.').with(1, encode(altered(claims))).join('.')],
  ['own', ['自己签', 'Sign it'], ['内容全对，用自己的密钥签', 'All of it right, signed with a key of my own'], ownSigned],
  ['unsigned', ['不签名', 'Unsigned'], ['头部写 alg: none', 'alg: none in the header'],
    ({ header, claims, signature }, nonce) => `${encode({ ...header, alg: 'none' })}.${encode({ ...claims, nonce })}.${signature}`],
  ['replay', ['再交一次', 'Replay'], ['同一张收据，同一个浏览器', 'The same receipt, the same browser'], ({ receipt }) => receipt],
  ['stolen', ['偷来用', 'Steal'], ['换一个浏览器交上去', 'Handed on from another browser'], ({ receipt }) => receipt],
  ['expired', ['过期再交', 'Expired'], ['等它过期，再交给一次新的登录', 'For a new login, when its life is over'], ({ receipt }) => receipt],
];

/**
 * Make the part of the panel that is about receipts.
 *
 * @param {{ h: Function, api: string, business: string, ask: typeof fetch }} tools
 */
export function receiptBoard({ h, api, business, ask }) {
  let words = WORDS.zh;
  let second = 0;
  let held;

  const jwks = `${api}/.well-known/jwks.json`;
  const life = h('span', { class: 'life', role: 'timer' });
  const none = h('p', { class: 'quiet' });
  const said = h('div', { class: 'said', hidden: true });
  const texts = [[h('h3'), 'receipt'], [none, 'none'], [h('h3'), 'cheat'], [h('p', { class: 'quiet' }), 'hint']];
  const cheats = CHEATS.map(([name, labels, whats, make]) => {
    const button = h('button', { type: 'button', disabled: true, onclick: () => cheat(name) });
    const what = h('span', { class: 'quiet' });
    const outcome = h('output', { class: 'outcome' });
    return { name, labels, whats, make, button, what, outcome, answer: undefined };
  });
  const board = h('div', { class: 'controls' },
    h('section', { class: 'receipt' }, h('div', { class: 'row' }, texts[0][0], life), none, said),
    h('section', {}, texts[2][0], texts[3][0],
      h('div', { class: 'cheats' }, ...cheats.flatMap(({ button, what, outcome }) => [button, h('div', {}, what, outcome)]))));

  const post = (path, body, credentials) =>
    ask(`${business}/${path}`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), credentials, referrerPolicy: 'no-referrer',
    });

  async function cheat(name) {
    const row = cheats.find((each) => each.name === name);
    // The others get a nonce first, as a page that begins a login does: so no refusal is for the lack of one.
    const fresh = name === 'replay' || name === 'stolen' ? undefined : await post('nonce', {}, 'include').then((given) => given.json()).catch(() => ({}));
    const receipt = await row.make(held, fresh?.nonce);
    row.answer = await post('login', { receipt }, name === 'stolen' ? 'omit' : 'include')
      .then(async (response) => ({ status: response.status, code: (await response.json()).code }))
      .catch(() => ({ status: 0 }));
    tell(row);
  }

  function tell({ answer, outcome }) {
    if (!answer) return;
    const { status, code } = answer;
    outcome.dataset.state = status === 200 ? 'accepted' : status ? 'refused' : 'unreachable';
    outcome.textContent = status === 200 ? words.accepted : status ? `${status} · ${code}` : words.unreachable;
  }

  /** Of an encrypted number its beginning. */
  const legible = (value) => (value.length > 80 ? `${value.slice(0, 64)}… (${value.length})` : value);
  const list = (values) => h('dl', { class: 'values' }, ...Object.entries(values).flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, legible(value))]));

  function render() {
    none.hidden = !!held;
    said.hidden = !held;
    if (held) {
      said.replaceChildren(h('h4', {}, words.header), list(held.header), h('h4', {}, words.claims), list(held.claims),
        h('p', {}, h('a', { href: jwks, target: '_blank', rel: 'noopener' }, words.keys)));
    }
    for (const row of cheats) {
      row.button.textContent = row.labels[second];
      tell(row);
    }
    tick();
  }

  function tick() {
    const left = held ? Math.ceil(held.claims.exp - Date.now() / 1000) : 0;
    life.hidden = !held;
    life.textContent = left > 0 ? words.lives.replace('{n}', left) : words.dead;
    life.dataset.dead = String(left <= 0);
    for (const { name, whats, button, what } of cheats) {
      const early = name === 'expired' && held && left + LEEWAY > 0;
      button.disabled = !held || early;
      what.textContent = whats[second] + (early ? words.wait.replace('{n}', left + LEEWAY) : '');
    }
  }
  setInterval(tick, 1000);

  return {
    board,
    /** A receipt has come. */
    keep(receipt) {
      held = read(receipt);
      for (const row of cheats) {
        row.answer = undefined;
        row.outcome.textContent = '';
        delete row.outcome.dataset.state;
      }
      render();
    },
    /** Which of the API's keys it names, and which there are. */
    async publishedKeys() {
      const { keys } = await (await ask(jwks, { credentials: 'omit', referrerPolicy: 'no-referrer' })).json();
      return keys.map(({ kid }) => (kid === held?.header.kid ? `${kid} ✓` : kid));
    },
    speak(index) {
      second = index;
      words = index ? WORDS.en : WORDS.zh;
      for (const [element, key] of texts) element.textContent = words[key];
      render();
    },
  };
}
