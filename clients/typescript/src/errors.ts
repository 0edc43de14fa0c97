import type { Problem } from "./schema.js";

/** The codes that this version of the client knows. The service may add others at any time. */
export const KNOWN_CODES = [
  "already_in_session",
  "bad_request",
  "body_too_large",
  "database_unavailable",
  "forbidden",
  "idempotency_key_reused",
  "illegal_transition",
  "in_session",
  "internal_error",
  "keys_unavailable",
  "method_not_allowed",
  "not_a_member",
  "not_enough_players",
  "not_found",
  "not_in_session",
  "player_exists",
  "player_not_found",
  "rate_limited",
  "request_head_too_large",
  "request_in_progress",
  "request_timeout",
  "session_full",
  "session_not_found",
  "session_not_joinable",
  "session_over",
  "shutting_down",
  "too_many_members",
  "unauthenticated",
  "unsupported_media_type",
  "username_taken",
  "validation_error",
  "version_mismatch",
] as const;

export type KnownCode = (typeof KNOWN_CODES)[number];

/** A known code, which editors complete, or any other string. */
export type ErrorCode = KnownCode | (string & {});

/** The service, or a proxy in front of it, responded with an error. */
export class GameApiError extends Error {
  override readonly name = "GameApiError";
  /** The HTTP status code; 0 for a redirection in a browser, which hides it. */
  readonly status: number;
  /** The stable word for the error; `unexpected_response` if the response does not come from the service. */
  readonly code: ErrorCode;
  /** What went wrong, for people. */
  readonly detail: string;
  /** The id of the request, which the logs of the service contain as well. */
  readonly requestId: string | undefined;
  /** The whole problem, with the members that only some codes have, such as `current_version`. */
  readonly problem: (Problem & Record<string, unknown>) | undefined;
  /** The number of seconds after which the request may be repeated, if the response names it. */
  readonly retryAfter: number | undefined;

  constructor(response: Response, problem?: Problem & Record<string, unknown>) {
    const code = problem?.code ?? "unexpected_response";
    const detail = problem?.detail ?? describe(response);
    super(`${response.status} ${code}: ${detail}`);
    this.status = response.status;
    this.code = code;
    this.detail = detail;
    this.requestId = response.headers.get("X-Request-ID") ?? problem?.request_id;
    this.problem = problem;
    this.retryAfter = parseRetryAfter(response.headers.get("Retry-After"));
  }
}

/** There was no complete response: the connection failed or the time was up. `cause` is the reason. */
export class GameApiNetworkError extends Error {
  override readonly name = "GameApiNetworkError";

  constructor(request: Request, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`${request.method} ${request.url}: ${reason}`, { cause });
  }
}

/** The error of a response that is not a success. */
export async function errorOf(response: Response): Promise<GameApiError> {
  const type = response.headers.get("Content-Type") ?? "";
  if (!type.startsWith("application/problem+json")) return new GameApiError(response);
  const problem: unknown = await response.json().catch(() => undefined);
  return new GameApiError(response, isProblem(problem) ? problem : undefined);
}

function describe({ status, statusText, type }: Response): string {
  // Browsers hide the status of a redirection.
  const isRedirection = type === "opaqueredirect" || (status >= 300 && status < 400);
  return isRedirection ? "The client follows no redirection." : `The response is not one of game-api: ${statusText}`;
}

function isProblem(value: unknown): value is Problem & Record<string, unknown> {
  return typeof value === "object" && value !== null && "code" in value && typeof value.code === "string";
}

/** Seconds from now; the header is a number of seconds or a date. */
function parseRetryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}
