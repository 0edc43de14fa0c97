export {
  GameApiClient,
  type ClientOptions,
  type Cursor,
  type PlayerFilter,
  type PostOptions,
  type ReadOptions,
  type RequestOptions,
  type SessionFilter,
  type Tagged,
  type Version,
  type WriteOptions,
} from "./client.js";
export { GameApiError, GameApiNetworkError, KNOWN_CODES, type ErrorCode, type KnownCode } from "./errors.js";
export type { TokenOption } from "./tokens.js";
export type * from "./schema.js";
