import { errorOf, GameApiError, GameApiNetworkError } from "./errors.js";

export interface TransportOptions {
  fetch: typeof globalThis.fetch;
  /** Milliseconds for each attempt; 0 means no limit. */
  timeout: number;
  retries: number;
  signal?: AbortSignal | undefined;
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
 * Throws `GameApiError` for any other response, `GameApiNetworkError` if there was none, and the reason of
 * the signal when that aborts.
 */
export async function send(request: Request, options: TransportOptions): Promise<Response> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await exchange(request.clone(), options);
    } catch (error) {
      const wait = attempt < options.retries ? delay(request, error, attempt) : undefined;
      if (wait === undefined) throw error;
      await sleep(wait, options.signal);
    }
  }
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
    const response = await fetch(request, { signal: controller.signal });
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
function delay(request: Request, error: unknown, attempt: number): number | undefined {
  if (!isRepeatable(request, error)) return undefined;
  const retryAfter = error instanceof GameApiError ? (error.retryAfter ?? 0) : 0;
  if (retryAfter > LONGEST_RETRY_AFTER) return undefined;
  // The random part spreads the clients that were refused at the same moment.
  return retryAfter * 1000 + Math.random() * Math.min(FIRST_BACKOFF * 2 ** attempt, LONGEST_BACKOFF);
}

function isRepeatable(request: Request, error: unknown): boolean {
  if (!IDEMPOTENT.has(request.method)) return false;
  if (error instanceof GameApiError) {
    if (error.status === 429) return true;
    if (!TEMPORARY.has(error.status)) return false;
  } else if (!(error instanceof GameApiNetworkError)) {
    return false;
  }
  // The change may have been made. Repeated, its condition would then fail because of the change itself.
  return !request.headers.has("If-Match");
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const done = () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
  });
}
