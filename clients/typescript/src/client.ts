import createClient, { defaultPathSerializer, type Client } from "openapi-fetch";
import type {
  Attributes,
  Health,
  MemberUpdate,
  operations,
  PartyJoin,
  paths,
  Player,
  PlayerCreate,
  PlayerPage,
  PlayerUpdate,
  Session,
  SessionCreate,
  SessionJoin,
  SessionPage,
  SessionUpdate,
} from "./schema.js";
import { idempotencyKey } from "./idempotency.js";
import { Tokens, type TokenOption } from "./tokens.js";
import { send } from "./transport.js";

type HeadersOption = NonNullable<RequestInit["headers"]>;

export interface ClientOptions {
  /** The address of the service, such as `https://game.example.com`. A path is kept as a prefix. */
  baseUrl: string;
  /**
   * The token of the caller, or a function that gets one. The function is called before the first request, and once
   * more if the service refuses the token (401). Methods reject with what it throws.
   */
  token?: TokenOption | undefined;
  /** Headers of every request, or a function that returns them, called once for each method call. */
  headers?: HeadersOption | (() => HeadersOption | Promise<HeadersOption>) | undefined;
  /** Milliseconds that each attempt may take; 10,000 by default, 0 means no limit. */
  timeout?: number | undefined;
  /** How often a request that is safe to repeat is repeated; 3 by default, 0 turns it off. */
  retries?: number | undefined;
  /** Used in place of the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
}

export interface RequestOptions {
  /** Cancels the request, also while it waits for a retry; the method rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** In place of the `timeout` of the client. */
  timeout?: number | undefined;
  /** In place of the `retries` of the client. */
  retries?: number | undefined;
}

export interface PostOptions extends RequestOptions {
  /** In place of a new Idempotency-Key: a call with the key of an earlier one gets the result of the earlier one. */
  idempotencyKey?: string | undefined;
}

/** A `version` (`3`) or an entity tag (`'"3"'`). */
export type Version = number | string;

export interface ReadOptions extends RequestOptions {
  /** The version that you have; the method returns undefined if it is still the current one. */
  ifNoneMatch?: Version | undefined;
}

export interface WriteOptions extends RequestOptions {
  /** Make the change only if this is the current version, otherwise throw `version_mismatch`. */
  ifMatch?: Version | undefined;
}

/** A resource with the entity tag of its `version`. */
export type Tagged<Resource> = Resource & { readonly etag: string };

export type PlayerFilter = Omit<Query<"listPlayers">, "cursor">;
/** Sessions match if they have all these attributes; the number 5 also finds the text "5". */
export type SessionFilter = Omit<Query<"listSessions">, "cursor" | "attribute"> & { attributes?: Attributes };
/** Which page of a list to return: the `next_cursor` of the page before. */
export type Cursor = { cursor?: string };

type Query<Id extends keyof operations> = NonNullable<operations[Id]["parameters"]["query"]>;
type Unconditional = RequestOptions & { ifNoneMatch?: undefined };

/** The operations of game-api. Every method may throw `GameApiError` and `GameApiNetworkError`. */
export class GameApiClient {
  private readonly api: Client<paths, "application/json">;
  // Unlike a private member, this one is not shown by console.log.
  readonly #options: ClientOptions;
  readonly #tokens: Tokens | null;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#tokens = options.token === undefined ? null : new Tokens(options.token);
    this.api = createClient<paths, "application/json">({ baseUrl: options.baseUrl, pathSerializer });
  }

  createPlayer(body: PlayerCreate, options?: PostOptions): Promise<Tagged<Player>> {
    return resource(this.api.POST("/api/v1/players", { body, ...this.using(options) }));
  }

  getPlayer(playerId: string, options?: Unconditional): Promise<Tagged<Player>>;
  getPlayer(playerId: string, options: ReadOptions): Promise<Tagged<Player> | undefined>;
  getPlayer(playerId: string, options?: ReadOptions): Promise<Tagged<Player> | undefined> {
    const params = { path: { player_id: playerId }, header: ifNoneMatch(options) };
    return resource(this.api.GET("/api/v1/players/{player_id}", { params, ...this.using(options) }));
  }

  /** Absent fields keep their values; `attributes` is replaced as a whole. */
  updatePlayer(playerId: string, body: PlayerUpdate, options?: WriteOptions): Promise<Tagged<Player>> {
    const params = { path: { player_id: playerId }, header: ifMatch(options) };
    return resource(this.api.PUT("/api/v1/players/{player_id}", { params, body, ...this.using(options) }));
  }

  async deletePlayer(playerId: string, options?: WriteOptions): Promise<void> {
    const params = { path: { player_id: playerId }, header: ifMatch(options) };
    await this.api.DELETE("/api/v1/players/{player_id}", { params, ...this.using(options) });
  }

  listPlayers(query?: PlayerFilter & Cursor, options?: RequestOptions): Promise<PlayerPage> {
    return data(this.api.GET("/api/v1/players", { params: { query: query ?? {} }, ...this.using(options) }));
  }

  /** All players that match, page by page; `limit` is the size of a page. */
  players(filter?: PlayerFilter, options?: RequestOptions): AsyncGenerator<Player, void, undefined> {
    return items((page) => this.listPlayers({ ...filter, ...page }, options));
  }

  /** The live session in which the player has a seat; throws `not_in_session` if there is none. */
  getPlayerSession(playerId: string, options?: RequestOptions): Promise<Tagged<Session>> {
    const params = { path: { player_id: playerId } };
    return resource(this.api.GET("/api/v1/players/{player_id}/session", { params, ...this.using(options) }));
  }

  createSession(body: SessionCreate, options?: PostOptions): Promise<Tagged<Session>> {
    return resource(this.api.POST("/api/v1/sessions", { body, ...this.using(options) }));
  }

  getSession(sessionId: string, options?: Unconditional): Promise<Tagged<Session>>;
  getSession(sessionId: string, options: ReadOptions): Promise<Tagged<Session> | undefined>;
  getSession(sessionId: string, options?: ReadOptions): Promise<Tagged<Session> | undefined> {
    const params = { path: { session_id: sessionId }, header: ifNoneMatch(options) };
    return resource(this.api.GET("/api/v1/sessions/{session_id}", { params, ...this.using(options) }));
  }

  /** Absent fields keep their values; `attributes` is replaced as a whole. */
  updateSession(sessionId: string, body: SessionUpdate, options?: WriteOptions): Promise<Tagged<Session>> {
    const params = { path: { session_id: sessionId }, header: ifMatch(options) };
    return resource(this.api.PUT("/api/v1/sessions/{session_id}", { params, body, ...this.using(options) }));
  }

  listSessions(query: SessionFilter & Cursor = {}, options?: RequestOptions): Promise<SessionPage> {
    const { attributes = {}, ...rest } = query;
    const attribute = Object.entries(attributes).map(([key, value]) => `${key}:${value}`);
    const params = { query: { ...rest, attribute } };
    return data(this.api.GET("/api/v1/sessions", { params, ...this.using(options) }));
  }

  /** All sessions that match, newest first, page by page; `limit` is the size of a page. */
  sessions(filter?: SessionFilter, options?: RequestOptions): AsyncGenerator<Session, void, undefined> {
    return items((page) => this.listSessions({ ...filter, ...page }, options));
  }

  /** Take a seat; a player who is already seated keeps it. */
  joinSession(
    sessionId: string,
    playerId: string,
    body?: SessionJoin,
    options?: WriteOptions,
  ): Promise<Tagged<Session>> {
    const params = { path: { session_id: sessionId, player_id: playerId }, header: ifMatch(options) };
    const path = "/api/v1/sessions/{session_id}/players/{player_id}";
    return resource(this.api.PUT(path, { params, body: body ?? {}, ...this.using(options) }));
  }

  /** Take seats for several players: all of them or none. */
  joinSessionAsParty(sessionId: string, body: PartyJoin, options?: PostOptions): Promise<Tagged<Session>> {
    const params = { path: { session_id: sessionId } };
    return resource(this.api.POST("/api/v1/sessions/{session_id}/players", { params, body, ...this.using(options) }));
  }

  /** Change whether a member is ready, or the member's team. */
  updateMember(
    sessionId: string,
    playerId: string,
    body: MemberUpdate,
    options?: WriteOptions,
  ): Promise<Tagged<Session>> {
    const params = { path: { session_id: sessionId, player_id: playerId }, header: ifMatch(options) };
    const path = "/api/v1/sessions/{session_id}/players/{player_id}";
    return resource(this.api.PATCH(path, { params, body, ...this.using(options) }));
  }

  /** Give the seat back; a player who has no seat changes nothing. */
  async leaveSession(sessionId: string, playerId: string, options?: WriteOptions): Promise<void> {
    const params = { path: { session_id: sessionId, player_id: playerId }, header: ifMatch(options) };
    await this.api.DELETE("/api/v1/sessions/{session_id}/players/{player_id}", { params, ...this.using(options) });
  }

  /** Whether the service is running; this needs no token, and sends none. */
  health(options?: RequestOptions): Promise<Health> {
    return data(this.api.GET("/health", this.using(options, null)));
  }

  /** How openapi-fetch sends the request of one method call. */
  private using(options: PostOptions = {}, tokens: Tokens | null = this.#tokens) {
    const { headers, fetch = (...request) => globalThis.fetch(...request) } = this.#options;
    const timeout = options.timeout ?? this.#options.timeout ?? 10_000;
    const retries = options.retries ?? this.#options.retries ?? 3;
    return {
      fetch: async (request: Request): Promise<Response> => {
        const added = new Headers(typeof headers === "function" ? await headers() : headers);
        added.forEach((value, name) => request.headers.set(name, value));
        if (request.method === "POST") request.headers.set("Idempotency-Key", idempotencyKey(options.idempotencyKey));
        return send(request, { fetch, timeout, retries, signal: options.signal, tokens });
      },
    };
  }
}

/** The body of a success; `send` has thrown for everything else. */
async function data<Body>(call: Promise<{ data?: Body }>): Promise<Body> {
  return (await call).data as Body;
}

/** The resource, or undefined after a 304, which only a request with `If-None-Match` gets. */
async function resource<Resource extends { version: number }>(
  call: Promise<{ data?: Resource }>,
): Promise<Tagged<Resource>> {
  const body = (await call).data;
  return (body && { ...body, etag: entityTag(body.version) }) as Tagged<Resource>;
}

async function* items<Item>(
  list: (page: Cursor) => Promise<{ items: Item[]; next_cursor: string | null }>,
): AsyncGenerator<Item, void, undefined> {
  let cursor: string | null = null;
  do {
    const page: { items: Item[]; next_cursor: string | null } = await list(cursor === null ? {} : { cursor });
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor !== null);
}

/** Made from the version, because a proxy that compresses weakens the header, and a weak tag never matches. */
function entityTag(version: Version): string {
  return typeof version === "number" ? `"${version}"` : version;
}

function ifMatch(options?: WriteOptions): { "If-Match"?: string } {
  return options?.ifMatch === undefined ? {} : { "If-Match": entityTag(options.ifMatch) };
}

function ifNoneMatch(options?: ReadOptions): { "If-None-Match"?: string } {
  return options?.ifNoneMatch === undefined ? {} : { "If-None-Match": entityTag(options.ifNoneMatch) };
}

/** Refuses ids that would make the address one of another resource: `sessions/../players/ada`. */
function pathSerializer(path: string, ids: Record<string, unknown>): string {
  for (const [name, id] of Object.entries(ids)) {
    if (["", ".", ".."].includes(String(id))) throw new TypeError(`${name} must not be "${id}"`);
  }
  return defaultPathSerializer(path, ids);
}
