/**
 * Number verification in the browser: does the number that the user types belong to the SIM whose
 * mobile data this page travels on? One verifier per page; `prepare()` when the page opens,
 * `verify()` when the user taps. Neither ever rejects: whatever happens is an {@link Outcome}.
 */

/** What a page hands to {@link createVerifier}. Only `api` and `appId` are required. */
export interface Config {
  /** Where /presign and /verify live, such as `https://api.example.com`. */
  api: string;
  /** The open platform's appId. */
  appId: string;
  /** The platform's JS SDK. Default: the production one. */
  sdkUrl?: string;
  /** The SDK's interface version. Default `1.2`. */
  version?: string;
  /** `1`: China Mobile alone (the test line knows only this); `0`: all three carriers. Default `1`. */
  openType?: '0' | '1';
  /** Which line the SDK talks to; `test` becomes the SDK's `isTest: '0'`. Default `production`. */
  line?: 'production' | 'test';
  /** For getTokenInfo, URL-encoded. The test line wants `phoneNum=<number>` here. */
  expandParams?: string;
  /** Milliseconds that each step may take. */
  timeouts?: Partial<Timeouts>;
  /** Told of each step as it starts and ends: names only, never what a message carries. */
  onStep?: (step: Step) => void;
  /** Instead of `globalThis.fetch`. */
  fetch?: typeof fetch;
  /** Instead of `Date.now`. */
  now?: () => number;
}

/** Milliseconds. */
export interface Timeouts {
  /** Loading the SDK. Default 8000. */
  sdk: number;
  /** The SDK's getConnection. Default 2000. */
  network: number;
  /** POST /presign. Default 8000. */
  sign: number;
  /** The SDK's getTokenInfo. Default 10000. */
  token: number;
  /** The page's own way to its nonce. Default 8000. */
  nonce: number;
  /** POST /verify. Default 15000. */
  verify: number;
}

/** The guide's steps: `sdk` 2, `presign` 3-4, `sign` 5-6, `network` 7-9, `token` 10-12, `verify` 13-16; `nonce` is none of them. */
export interface Step {
  name: 'sdk' | 'network' | 'presign' | 'sign' | 'token' | 'nonce' | 'verify';
  state: 'start' | 'done' | 'failed' | 'skipped';
}

/** Decided in the browser, beside the codes that the API sends. */
export type ClientCode =
  /** A token is at hand. */
  | 'ready'
  /** 000 */
  | 'match'
  /** 000, but no receipt came although a nonce was given: the API has receipts off. */
  | 'match_without_receipt'
  /** 001 */
  | 'mismatch'
  /** The phone is on Wi-Fi, where no carrier can tell its number. */
  | 'wifi'
  /** The SDK did not load, or is not what it should be. */
  | 'sdk_unavailable'
  /** getTokenInfo failed; `resultCode` is the SDK's: 500, or 103111 where a VPN or a proxy is in the way. */
  | 'token_unavailable'
  /** The page's own nonce could not be had; nothing was sent. */
  | 'nonce_unavailable'
  /** The browser says that it has no network. */
  | 'offline'
  /** No connection to the API. */
  | 'api_unreachable'
  /** No answer from the API in time. */
  | 'api_timeout'
  /** The API's gateway failed in its own words. */
  | 'api_error'
  /** An answer that the contract does not know. */
  | 'unexpected_answer'
  /** `dispose()` was called. */
  | 'cancelled';

/** The `code` of a refusal by the API. */
export type ApiCode =
  | 'invalid_request'
  | 'presign_rejected'
  | 'origin_not_allowed'
  | 'body_too_large'
  | 'unsupported_media_type'
  | 'token_reused'
  | 'in_progress'
  | 'token_rejected'
  | 'attempts_exhausted'
  | 'too_many_requests'
  | 'platform_rejected'
  | 'platform_error'
  | 'platform_unreachable'
  | 'platform_timeout'
  | 'internal_error';

interface Report {
  code: ClientCode | ApiCode;
  /** The platform's return code, or the SDK's. */
  resultCode?: string;
  /** What the API's operator finds this request by. */
  requestId?: string;
  /** Attempts that this number has left today. */
  attemptsLeft?: number;
  /** Seconds until it is worth asking again. */
  retryAfter?: number;
}

/** A token is at hand: `verify()` will need one request. */
export interface Ready extends Report {
  kind: 'ready';
  code: 'ready';
}

/** The number is this SIM's. `match_without_receipt` can only come of a call with a nonce. */
export interface Verified extends Report {
  kind: 'verified';
  code: 'match' | 'match_without_receipt';
  resultCode: '000';
  /**
   * A signed receipt (compact JWS), where the API gives them: your back end logs in by it, once, within its
   * two minutes. The page just hands it on, and keeps it out of logs.
   */
  receipt?: string;
  msgId?: string;
  taskId?: string;
}

/** The number is not this SIM's. */
export interface Refused extends Report {
  kind: 'refused';
  code: 'mismatch';
  msgId?: string;
  taskId?: string;
}

/** Offer the user another way to log in. */
export interface UseOtherMethod extends Report {
  kind: 'use_other_method';
}

/** The request can never succeed as it is: a typing error (see `errors`) or a mistake of the page's. */
export interface FixRequest extends Report {
  kind: 'fix_request';
  errors?: ReadonlyArray<{ field: string; reason: string }>;
}

/** Tried again as often as is sensible; the user may try once more, or go another way. */
export interface Retry extends Report {
  kind: 'retry';
}

/** Too early: see `retryAfter`. */
export interface Wait extends Report {
  kind: 'wait';
}

/** The verifier was disposed of meanwhile. */
export interface Cancelled extends Report {
  kind: 'cancelled';
  code: 'cancelled';
}

export type Setback = UseOtherMethod | FixRequest | Retry | Wait | Cancelled;
/** Everything that `verify()` can end in; switch over `kind`. */
export type Outcome = Verified | Refused | Setback;

/**
 * The nonce that your back end gave this session: 1 to 256 printable ASCII characters. Best a function, which
 * is called at the tap and again where it failed; its signal, undefined where the engine has none, is for the fetch.
 */
export type Nonce = string | PromiseLike<string> | ((signal: AbortSignal) => string | PromiseLike<string>);

export interface Verifier {
  /**
   * Load the SDK, look at the network and fetch a token, ahead of the user's typing.
   * Calls at the same time share one run.
   */
  prepare(): Promise<Ready | Setback>;
  /**
   * Verify the number, as typed. Fetches a token where none is at hand or the one at hand is
   * older than 50 seconds; tries again where the API says so, at most twice, and once where the
   * platform may have judged. A second tap with the same number gets the first one's outcome. Token and
   * number are forgotten when it ends. With a `nonce` the receipt carries it; where it cannot be had, nothing
   * is sent.
   */
  verify(phoneNum: string, options?: { nonce?: Nonce }): Promise<Outcome>;
  /** Stop whatever is under way and forget the token; the verifier can be used again at once. */
  dispose(): void;
  /** Remove what the API gave this phone to be known by, as on a shared phone or when the user asks for it. */
  forget(): void;
}

/**
 * The 11 digits of a mainland mobile number as people type and paste it, or null: the API's own rule. A country code,
 * spaces, hyphens, full width and invisible marks are no mistakes; `17951…` and other countries' numbers are.
 */
export function normalise(typed: string): string | null;

/** @throws TypeError where `api` or `appId` is missing. */
export function createVerifier(config: Config): Verifier;

/** The part of the platform's SDK that is used here. */
export interface Sdk {
  getSign(appId: string, version: string): string;
  getConnection?(appId: string): unknown;
  getTokenInfo(request: {
    data: {
      version: string;
      appId: string;
      sign: string;
      openType: string;
      expandParams: string;
      isTest: string;
    };
    success: (answer: SdkAnswer) => void;
    error: (answer: SdkAnswer) => void;
  }): void;
}

export interface SdkAnswer {
  code?: string;
  message?: string;
  token?: string;
  userInformation?: string;
}

declare global {
  var YDRZ: Sdk | undefined;
}
