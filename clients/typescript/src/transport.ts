import { errorOf, GameApiError, GameApiNetworkError } from "./errors.js";
import type { Tokens } from "./tokens.js";

export interface TransportOptions {
  fetch: typeof globalThis.fetch;
  /** Milliseconds for each attempt; 0 means no limit. */
  timeout: number;
  retries: number;
  signal?: AbortSignal | undefined;
  /** Where the token of the request comes from; null for a request without one. */
  tokens: Tokens | null;
}

const IDEMPOTENT = new Set(["GET", "HEAD", "PUT", "DELETE"]);
const TEMPORARY = new Set([502, 503, 504]);
const FIRST_BACKOFF = 200;
const LONGEST_BACKOFF = 5_000;
/** A request that has to wait for longer than this many seconds is left to the caller. */
const LONGEST_RETRY_AFTER = 30;

/**
 * Sends a request and returns a successful response or a 304, whose body has been read.
 *
 * Throws `GameApiError` for any other response, `GameApiNetworkError` if there was none, the reason of the
 * signal when that aborts, and what the function throws that gets the token.
 */
export async function send(request: Request, options: TransportOptions): Promise<Response> {
  const { tokens, retries, signal } = options;
  let tokenWasRefused = false;
  let mayHaveSucceeded = false;
  for (let repeated = 0; ; ) {
    const token = tokens === null ? undefined : await abortable(tokens.current(), signal);
    try {
      return await exchange(authorized(request, token), options);
    } catch (error) {
      if (tokens && token && !tokenWasRefused && hasStatus(error, 401)) {
        tokenWasRefused = true;
        if (await abortable(tokens.replace(token), signal)) continue;
      }
      if (mayHaveSucceeded && isGone(request, error)) return new Response(null, { status: 204 });
      const wait = repeated < retries ? delay(request, error, repeated) : undefined;
      if (wait === undefined) throw error;
      mayHaveSucceeded ||= !wasRefused(error);
      repeated += 1;
      await sleep(wait, signal);
    }
  }
}

function authorized(request: Request, token: string | undefined): Request {
  const attempt = request.clone();
  if (token !== undefined) attempt.headers.set("Authorization", `Bearer ${token}`);
  return attempt;
}

async function exchange(request: Request, options: TransportOptions): Promise<Response> {
  const response = await receive(request, options);
  if (response.status === 204 || response.status === 304) return response;
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  if (response.ok && isJson && (await parses(response.clone()))) return response;
  throw await errorOf(response);
}

async function parses(response: Response): Promise<boolean> {
  return response.json().then(() => true, () => false);
}

/** The response with its whole body, so that the timeout and the retries also apply to the body. */
async function receive(request: Request, options: TransportOptions): Promise<Response> {
  const { fetch, signal, timeout } = options;
  // AbortSignal.any() would do this, but Node.js 18 does not have it.
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  const expire = () => controller.abort(new DOMException(`no response within ${timeout} ms`, "TimeoutError"));
  signal?.throwIfAborted();
  signal?.addEventListener("abort", abort);
  const timer = timeout > 0 ? setTimeout(expire, timeout) : undefined;
  try {
    // A redirection could lead to another origin, which must get neither the token nor the body.
    const response = await fetch(request, { signal: controller.signal, redirect: "manual" });
    if (response.type === "opaqueredirect") return response;
    const body = await response.arrayBuffer();
    return new Response(body.byteLength > 0 ? body : null, response);
  } catch (error) {
    signal?.throwIfAborted();
    throw new GameApiNetworkError(request, error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** How many milliseconds to wait before the request is repeated; undefined if it must not be. */
function delay(request: Request, error: unknown, repeated: number): number | undefined {
  if (!isRepeatable(request, error)) return undefined;
  const retryAfter = error instanceof GameApiError ? (error.retryAfter ?? 0) : 0;
  if (retryAfter > LONGEST_RETRY_AFTER) return undefined;
  // The random half spreads the clients that were refused at the same moment.
  const backoff = Math.min(FIRST_BACKOFF * 2 ** repeated, LONGEST_BACKOFF);
  return retryAfter * 1000 + backoff * (0.5 + 0.5 * Math.random());
}

function isRepeatable(request: Request, error: unknown): boolean {
  if (wasRefused(error)) return true;
  const isTemporary = error instanceof GameApiError ? TEMPORARY.has(error.status) : error instanceof GameApiNetworkError;
  const hasSameEffect = IDEMPOTENT.has(request.method) || request.headers.has("Idempotency-Key");
  // If the first attempt made the change, the condition of the next one would fail because of that.
  return isTemporary && hasSameEffect && !request.headers.has("If-Match");
}

/** Whether the service has not begun with the request, and asks for it again later. */
function wasRefused(error: unknown): boolean {
  const isInProgress = hasStatus(error, 409) && error.code === "request_in_progress";
  return isInProgress || hasStatus(error, 429);
}

/** Whether a deletion finds nothing, as it does if an attempt whose response was lost has deleted the player. */
function isGone(request: Request, error: unknown): boolean {
  return request.method === "DELETE" && error instanceof GameApiError && error.code === "player_not_found";
}

function hasStatus(error: unknown, status: number): error is GameApiError {
  return error instanceof GameApiError && error.status === status;
}

/** The promise, or the reason of the signal if that aborts earlier. */
function abortable<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

async function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const passed = new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds)));
  await abortable(passed, signal).finally(() => clearTimeout(timer));
}
