/**
 * Number verification receipts, checked in your back end. Copy this file; it needs Node.js 20 and jose 6.
 *
 * A page can lie; a receipt cannot. It is a JWT that the number verification API signs when a carrier has confirmed
 * that a number belongs to the phone in the user's hand. Make one verifier when your service starts:
 *
 *     const receipts = new ReceiptVerifier('https://api.example.com/.well-known/jwks.json', 'https://www.abc.com');
 *
 * and log nobody in unless this resolves, with the nonce that your back end gave this very session:
 *
 *     const claims = await receipts.verify(receipt, nonce);
 */
import { createHash, createHmac, createPrivateKey, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { calculateJwkThumbprint, compactDecrypt, compactVerify, importJWK } from 'jose';

const MAX_RECEIPT_LENGTH = 8192;
const MAX_LIFE_SECONDS = 600;
const LEEWAY_SECONDS = 5;
const FETCH_SECONDS = 3;
const MAX_JWKS_BYTES = 65536;
const CACHE_SECONDS = 300;
const REFETCH_SECONDS = 10;
const STALE_SECONDS = 3600;

// The keys come from this one address, over TLS; without it only where nobody can listen, on this machine.
const ADDRESS =
  /^(https:\/\/[^/?#@\s][^?#@\s]*|http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?)\/\.well-known\/jwks\.json$/;
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
// JSON.parse makes whole numbers of 1.0 and 1e0.
const WHOLE = ['iat', 'exp'].map((name) => new RegExp(`"${name}"\\s*:\\s*[1-9][0-9]*\\s*[,}]`));
const COORDINATE = /^[A-Za-z0-9_-]{43}$/; // 32 bytes (RFC 7518, section 6.2.1.2)
const JTI = /^[A-Za-z0-9._-]{1,64}$/;
const HASH = /^[0-9a-f]{64}$/;
const MASKED = /^[0-9]{3}\*{4}[0-9]{4}$/;
const NUMBER = /^[0-9]{11}$/;

/**
 * Why a receipt is refused; the README says what to do about each.
 *
 * @typedef {'malformed' | 'wrong_algorithm' | 'wrong_type' | 'unknown_key' | 'keys_unavailable' | 'bad_signature' |
 *   'wrong_issuer' | 'wrong_audience' | 'not_yet_valid' | 'expired' | 'wrong_nonce' | 'number_undecipherable' |
 *   'replayed'} Reason
 */

/** A refused receipt. The message is the reason and no more, so it may be logged. */
export class ReceiptError extends Error {
  /** @param {Reason} reason */
  constructor(reason) {
    super(reason);
    this.name = 'ReceiptError';
    this.reason = reason;
  }
}

/**
 * What a receipt says. Of the three forms of the number it has the one that the API is set to.
 *
 * @typedef {object} Claims
 * @property {string} jti
 * @property {string} appId
 * @property {string} [taskId]
 * @property {string} aud
 * @property {number} iat
 * @property {number} exp
 * @property {string} [phoneNum] decrypted
 * @property {string} [phoneNumMasked]
 * @property {string} [phoneNumHash]
 */

/**
 * Remembers which receipts have been used.
 *
 * `putIfAbsent` remembers one until a Unix time, in one atomic step; false where it is there already. With more than
 * one process, keep it where all of them look. In Redis:
 *
 *     async putIfAbsent(jti, until) {
 *       const EX = Math.max(1, Math.ceil(until - Date.now() / 1000));
 *       return (await redis.set(`receipt:${jti}`, '1', { NX: true, EX })) === 'OK';
 *     }
 *
 * @typedef {{ putIfAbsent(jti: string, until: number): boolean | Promise<boolean> }} UsedReceipts
 */

/** The default: right for one process. Only signed receipts get here, so it stays small. */
export class UsedInThisProcess {
  /** @type {Map<string, number>} the oldest first */
  #until = new Map();
  #now;

  /** @param {() => number} now */
  constructor(now = () => Date.now() / 1000) {
    this.#now = now;
  }

  /** @param {string} jti @param {number} until */
  putIfAbsent(jti, until) {
    for (const [oldest, over] of this.#until) {
      if (over > this.#now()) break;
      this.#until.delete(oldest);
    }
    if (this.#until.has(jti)) return false;
    this.#until.set(jti, until);
    return true;
  }
}

/** Accepts a receipt once. */
export class ReceiptVerifier {
  #issuer;
  #audiences;
  #keys;
  #decryptionKeys;
  #used;
  #now;

  /**
   * @param {string} jwksUrl where the API publishes its public keys; what comes before /.well-known is the issuer
   * @param {string | string[]} audiences the origins of your own pages, such as https://www.abc.com
   * @param {object} [options]
   * @param {string[]} [options.decryptionKeys] your RSA private keys in PEM, where the API is set to encrypt the number:
   *   the one in use and, while you change it, the one before
   * @param {UsedReceipts} [options.used] what remembers used receipts; the default does so for one process
   * @param {() => number} [options.now] seconds since 1970
   */
  constructor(jwksUrl, audiences, { decryptionKeys = [], now = () => Date.now() / 1000, used } = {}) {
    const issuer = ADDRESS.exec(jwksUrl)?.[1];
    if (!issuer) throw new TypeError('jwksUrl is not https://HOST/.well-known/jwks.json (http: on loopback alone)');
    this.#audiences = [audiences].flat().filter(Boolean);
    if (!this.#audiences.length) {
      throw new TypeError('name the origin of your page: without it, receipts for other pages would do');
    }
    this.#issuer = issuer;
    this.#keys = new PublishedKeys(jwksUrl, now);
    this.#decryptionKeys = decryptionKeys.map(privateKey);
    this.#used = used ?? new UsedInThisProcess(now);
    this.#now = now;
  }

  /**
   * Check a receipt, and use it up.
   *
   * @param {unknown} receipt as the page sent it, whatever that is
   * @param {string | undefined} nonce what your back end gave this session, out of its own store: never what the page
   *   sends along
   * @returns {Promise<Claims>}
   * @throws {ReceiptError} log nobody in
   */
  async verify(receipt, nonce) {
    const claims = await this.#checked(receipt);
    if (!nonce || !same(claims.nonce, nonce)) throw new ReceiptError('wrong_nonce');
    return this.#use(claims);
  }

  /**
   * Check a receipt that was asked for without a nonce, and use it up.
   *
   * Weaker: whoever gets hold of somebody's receipt within its two minutes can be first to log in with it.
   *
   * @param {unknown} receipt
   * @returns {Promise<Claims>}
   * @throws {ReceiptError} log nobody in
   */
  async verifyWithoutNonce(receipt) {
    const claims = await this.#checked(receipt);
    if (Object.hasOwn(claims, 'nonce')) throw new ReceiptError('wrong_nonce');
    return this.#use(claims);
  }

  /** Check everything but the nonce and that it is the first use. @param {unknown} receipt */
  async #checked(receipt) {
    const claims = await this.#signedClaims(receipt);
    if (claims.iss !== this.#issuer) throw new ReceiptError('wrong_issuer');
    // One origin: a list is refused, even a list of one.
    if (!this.#audiences.includes(claims.aud)) throw new ReceiptError('wrong_audience');
    if (!wellFormed(claims)) throw new ReceiptError('malformed');
    const now = this.#now();
    if (now < claims.iat - LEEWAY_SECONDS) throw new ReceiptError('not_yet_valid');
    if (now >= claims.exp + LEEWAY_SECONDS) throw new ReceiptError('expired');
    return claims;
  }

  /** Check header and signature; only then read what is signed. @param {unknown} receipt */
  async #signedClaims(receipt) {
    if (typeof receipt !== 'string' || receipt.length > MAX_RECEIPT_LENGTH || !COMPACT.test(receipt)) {
      throw new ReceiptError('malformed');
    }
    const [header, payload] = receipt.split('.').map(bytesOf);
    const members = objectOf(header);
    // What the header says chooses among our own keys, and nothing else: the algorithm is settled.
    if (members.alg !== 'ES256') throw new ReceiptError('wrong_algorithm');
    if (members.typ !== 'number-verification+jwt') throw new ReceiptError('wrong_type');
    // No crit, no b64, and no key or address of the sender's own.
    if (Object.keys(members).sort().join() !== 'alg,kid,typ' || typeof members.kid !== 'string') {
      throw new ReceiptError('malformed');
    }
    const key = await this.#keys.get(members.kid);
    try {
      await compactVerify(receipt, key, { algorithms: ['ES256'] });
    } catch {
      throw new ReceiptError('bad_signature');
    }
    const claims = objectOf(payload);
    if (!WHOLE.every((time) => time.test(String(payload)))) throw new ReceiptError('malformed');
    return claims;
  }

  /**
   * Read the number; have the receipt count as used from here on.
   *
   * @param {Record<string, any>} claims
   * @returns {Promise<Claims>}
   */
  async #use({ jti, appId, taskId, aud, iat, exp, phoneNumHash, phoneNumMasked, phoneNumJwe }) {
    const phoneNum = phoneNumJwe === undefined ? undefined : await this.#decrypted(phoneNumJwe);
    if (!(await this.#used.putIfAbsent(jti, exp + LEEWAY_SECONDS))) throw new ReceiptError('replayed');
    return { jti, appId, taskId, aud, iat, exp, phoneNum, phoneNumMasked, phoneNumHash };
  }

  /** @param {string} encrypted */
  async #decrypted(encrypted) {
    let number = '';
    const keyOf = (/** @type {{ kid?: string }} */ header) => this.#decryptionKey(header.kid);
    try {
      const options = { keyManagementAlgorithms: ['RSA-OAEP-256'], contentEncryptionAlgorithms: ['A256GCM'] };
      const { plaintext } = await compactDecrypt(encrypted, keyOf, options);
      number = new TextDecoder().decode(plaintext);
    } catch {
      // Encrypted for another key, or damaged.
    }
    if (!NUMBER.test(number)) throw new ReceiptError('number_undecipherable');
    return number;
  }

  /** @param {string | undefined} kid */
  async #decryptionKey(kid) {
    for (const key of this.#decryptionKeys) {
      if ((await calculateJwkThumbprint(key)) === kid) return key;
    }
    throw new Error('no such key');
  }
}

/**
 * What `phoneNumHash` is for a number of 11 digits, with the receipt secret's hashKey.
 *
 * @param {string} phoneNum
 * @param {string} hashKey
 */
export function hashOfNumber(phoneNum, hashKey) {
  return createHmac('sha256', hashKey).update(phoneNum).digest('hex');
}

/**
 * Whether a hash is of this number, in a time that does not depend on how much of it is right.
 *
 * @param {string | undefined} phoneNumHash
 * @param {string} phoneNum
 * @param {string} hashKey
 */
export function isNumber(phoneNumHash, phoneNum, hashKey) {
  return same(phoneNumHash, hashOfNumber(phoneNum, hashKey));
}

/** The API's public keys by kid: cached, fetched again for a new one, kept an hour without an answer. */
class PublishedKeys {
  #url;
  #now;
  /** @type {Map<string, import('jose').CryptoKey>} */
  #keys = new Map();
  #since = -STALE_SECONDS;
  #tried = -REFETCH_SECONDS;
  #failed = false;
  /** @type {Promise<void> | undefined} the last one */
  #refreshing;

  /** @param {string} url @param {() => number} now */
  constructor(url, now) {
    this.#url = url;
    this.#now = now;
  }

  /** @param {string} kid */
  async get(kid) {
    let key = this.#younger(this.#since, CACHE_SECONDS) ? this.#keys.get(kid) : undefined;
    if (key) return key;
    // One fetches, the others wait for what it brings.
    if (!this.#younger(this.#tried, REFETCH_SECONDS)) this.#refreshing = this.#refresh();
    await this.#refreshing;
    key = this.#younger(this.#since, STALE_SECONDS) ? this.#keys.get(kid) : undefined;
    if (!key) throw new ReceiptError(this.#failed ? 'keys_unavailable' : 'unknown_key');
    return key;
  }

  /** A clock set back makes nothing younger. @param {number} since @param {number} seconds */
  #younger(since, seconds) {
    const age = this.#now() - since;
    return age >= 0 && age < seconds;
  }

  async #refresh() {
    this.#tried = this.#now();
    let keys = new Map();
    try {
      keys = await usable(JSON.parse(await fetched(this.#url)));
    } catch {
      // As if there were none.
    }
    this.#failed = !keys.size;
    if (keys.size) {
      this.#keys = keys;
      this.#since = this.#tried;
    }
  }
}

/**
 * Read at most MAX_JWKS_BYTES within FETCH_SECONDS, straight from the address: no redirect, and, with an agent of its
 * own, no proxy. Nor does the environment say that any certificate will do.
 *
 * @param {string} url
 */
async function fetched(url) {
  const { get } = url.startsWith('https:') ? https : http;
  const signal = AbortSignal.timeout(FETCH_SECONDS * 1000);
  const request = get(url, { agent: false, rejectUnauthorized: true, signal });
  request.on('error', () => {}); // who waits for the answer, or reads it, is told
  const [answer] = await once(request, 'response');
  let size = 0;
  const chunks = [];
  try {
    if (answer.statusCode !== 200) throw new Error('no keys');
    for await (const chunk of answer) {
      size += chunk.length;
      if (size > MAX_JWKS_BYTES) throw new Error('no keys');
      chunks.push(chunk);
    }
  } finally {
    request.destroy();
  }
  return utf8(Buffer.concat(chunks));
}

/** Take the keys that sign receipts, and only what is public of them; leave any others. @param {any} jwks */
async function usable(jwks) {
  const keys = new Map();
  for (const jwk of Array.isArray(jwks?.keys) ? jwks.keys : []) {
    const { kty, crv, use, alg, kid, x, y } = jwk ?? {};
    if (kty !== 'EC' || crv !== 'P-256' || use !== 'sig' || alg !== 'ES256' || typeof kid !== 'string') continue;
    if (![x, y].every((half) => typeof half === 'string' && COORDINATE.test(half))) continue;
    try {
      keys.set(kid, await importJWK({ kty, crv, x, y }, 'ES256'));
    } catch {
      // Not a point of the curve.
    }
  }
  return keys;
}

/**
 * Whether every claim that is used has its type, and exactly one tells the number.
 *
 * @param {Record<string, any>} claims
 */
function wellFormed({ iat, exp, jti, appId, taskId = '', phoneNumHash, phoneNumMasked, phoneNumJwe }) {
  const forms = [phoneNumHash, phoneNumMasked, phoneNumJwe].filter((form) => form !== undefined);
  return (
    Number.isSafeInteger(iat) &&
    Number.isSafeInteger(exp) &&
    iat > 0 &&
    exp > iat &&
    exp - iat <= MAX_LIFE_SECONDS &&
    [jti, appId, taskId, ...forms].every((text) => typeof text === 'string') &&
    JTI.test(jti) &&
    forms.length === 1 &&
    (phoneNumHash === undefined || HASH.test(phoneNumHash)) &&
    (phoneNumMasked === undefined || MASKED.test(phoneNumMasked))
  );
}

/** @param {string} pem */
function privateKey(pem) {
  let key;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The error would quote it.
  }
  if (key?.asymmetricKeyType !== 'rsa') throw new TypeError('a decryption key is not the PEM of an RSA private key');
  return key;
}

/** @param {Buffer | undefined} text @returns {Record<string, any>} */
function objectOf(text) {
  let value;
  try {
    value = JSON.parse(utf8(text));
  } catch {
    // Not JSON.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ReceiptError('malformed');
  return value;
}

/** Decode UTF-8 that is nothing but that, without a byte order mark. @param {Buffer | undefined} text */
function utf8(text) {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text);
}

/** Decode Base64url in its one canonical spelling, so that no receipt has two. @param {string} part */
function bytesOf(part) {
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) throw new ReceiptError('malformed');
  return bytes;
}

/** Compare texts in a time that does not depend on where they differ. @param {unknown} left @param {unknown} right */
function same(left, right) {
  const digest = (/** @type {string} */ text) => createHash('sha256').update(text).digest();
  return typeof left === 'string' && typeof right === 'string' && timingSafeEqual(digest(left), digest(right));
}
