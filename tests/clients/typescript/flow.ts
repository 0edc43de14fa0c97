/** The flow that every generated client runs, with openapi-typescript and openapi-fetch. */

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/api.js";

type Problem = components["schemas"]["Problem"];
type Session = components["schemas"]["Session"];
type SessionUpdate = components["schemas"]["SessionUpdate"];
type Result<T> = { data?: T; error?: Problem; response: Response };

const url = process.env.GAME_API_URL ?? "";
const prefix = process.env.GAME_API_PREFIX ?? "";
const token = process.env.GAME_API_TOKEN ?? "";
const connect = (baseUrl: string, bearer = token) =>
  createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${bearer}` } });
const api = connect(url);

const [ada, bob, eve, dan] = ["ada", "bob", "eve", "dan"].map((name) => prefix + name) as [
  string, string, string, string,
];
// JavaScript has no larger integers, so the client can't hold all 64 bits of the service.
const attributes = { text: "5", whole: Number.MAX_SAFE_INTEGER, half: 1.5, flag: true };

function ok<T>(result: Result<T>, status = 200): T {
  assert.equal(result.response.status, status, JSON.stringify(result.error));
  return result.data as T;
}

function refused(name: string, result: Result<unknown>): Problem {
  assert(result.error, `${name} was not refused`);
  console.log(["refusal", name, result.response.status, result.error.code].join("\t"));
  assert.equal(result.error.status, result.response.status);
  assert(result.error.request_id);
  return result.error;
}

const getPlayer = (player_id: string, client = api) =>
  client.GET("/api/v1/players/{player_id}", { params: { path: { player_id } } });
const update = (session_id: string, body: SessionUpdate, ifMatch?: string) =>
  api.PUT("/api/v1/sessions/{session_id}", {
    params: { path: { session_id }, header: ifMatch ? { "If-Match": ifMatch } : {} },
    body,
  });
const join = (session_id: string, player_id: string, team?: string) =>
  api.PUT("/api/v1/sessions/{session_id}/players/{player_id}", {
    params: { path: { session_id, player_id } },
    ...(team === undefined ? {} : { body: { team } }),
  });
const setReady = (session_id: string, player_id: string) =>
  api.PATCH("/api/v1/sessions/{session_id}/players/{player_id}", {
    params: { path: { session_id, player_id } },
    body: { ready: true },
  });

async function players(): Promise<void> {
  const create = (body: components["schemas"]["PlayerCreate"]) =>
    api.POST("/api/v1/players", { body });
  const created = ok(
    await create({ username: ada, player_id: ada, region: "eu-central-1", attributes }), 201,
  );
  assert.deepEqual(created.attributes, attributes);
  for (const player_id of [bob, eve, dan]) ok(await create({ username: player_id, player_id }), 201);
  const path = { player_id: ada };
  const change = (body: components["schemas"]["PlayerUpdate"]) =>
    api.PUT("/api/v1/players/{player_id}", { params: { path }, body });
  const rated = ok(await change({ rating: 1500 }));
  assert.deepEqual([rated.rating, rated.region, rated.version], [1500, "eu-central-1", 2]);
  assert.deepEqual(rated.attributes, attributes);
  assert.equal(ok(await change({ region: null })).region, null);
  const etag = (await getPlayer(ada)).response.headers.get("ETag") ?? "";
  const known = await api.GET("/api/v1/players/{player_id}", {
    params: { path, header: { "If-None-Match": etag } },
  });
  assert.equal(known.response.status, 304);
  const found = await api.GET("/api/v1/players", { params: { query: { username: ada } } });
  assert.deepEqual(ok(found).items.map((player) => player.player_id), [ada]);

  refused("player_exists", await create({ username: `${ada}2`, player_id: ada }));
  refused("username_taken", await create({ username: ada.toUpperCase() }));
  refused("player_not_found", await getPlayer(`${prefix}nobody`));
  refused("not_found", await getPlayer(ada, connect(`${url}/nowhere`)));
  refused("unauthenticated", await getPlayer(ada, connect(url, "made-up")));
  const invalid = refused(
    "validation_error", await api.GET("/api/v1/players", { params: { query: { limit: 0 } } }),
  );
  assert.deepEqual(invalid.errors?.[0]?.loc, ["query", "limit"]);
  refused(
    "body_too_large", await create({ username: ada, attributes: { text: "x".repeat(70_000) } }),
  );
  refused(
    "unsupported_media_type",
    await api.POST("/api/v1/players", {
      body: { username: ada }, headers: { "Content-Type": "text/plain" },
    }),
  );
}

async function createSession(
  body: Partial<components["schemas"]["SessionCreate"]>, mode = "duel",
): Promise<Session> {
  return ok(
    await api.POST("/api/v1/sessions", {
      body: { name: "Friday duel", game_mode: prefix + mode, max_players: 2, ...body },
    }),
    201,
  );
}

async function play(): Promise<void> {
  const { session_id } = await createSession({ min_players: 2 });
  const joined = ok(await join(session_id, ada, "red"), 201);
  assert.deepEqual([joined.members[0]?.team, joined.host_player_id], ["red", ada]);
  ok(await join(session_id, ada, "red"), 200);
  const alone = refused("not_enough_players", await update(session_id, { status: "starting" }));
  assert.deepEqual([alone.player_count, alone.min_players], [1, 2]);
  const illegal = refused("illegal_transition", await update(session_id, { status: "active" }));
  assert.deepEqual([illegal.from, illegal.to], ["waiting", "active"]);
  assert.deepEqual(illegal.allowed, ["starting", "cancelled"]);
  assert.equal(ok(await join(session_id, bob), 201).members[1]?.team, null);

  const other = await createSession({ host_player_id: eve, max_players: 4 });
  refused("session_full", await join(session_id, dan));
  const fewer = refused(
    "too_many_members", await update(session_id, { max_players: 1, min_players: 1 }),
  );
  assert.equal(fewer.player_count, 2);
  const elsewhere = refused("already_in_session", await join(other.session_id, ada));
  assert.deepEqual([elsewhere.session_id, elsewhere.player_id], [session_id, ada]);
  refused("not_a_member", await setReady(session_id, eve));
  refused("not_a_member as host", await update(session_id, { host_player_id: eve }));
  const path = { player_id: ada };
  refused(
    "not_in_session",
    await api.GET("/api/v1/players/{player_id}/session", { params: { path: { player_id: dan } } }),
  );
  const seated = refused(
    "in_session", await api.DELETE("/api/v1/players/{player_id}", { params: { path } }),
  );
  assert.equal(seated.session_id, session_id);
  ok(await update(other.session_id, { status: "starting" }));
  const late = refused("session_not_joinable", await join(other.session_id, dan));
  assert.equal(late.session_status, "starting");
  refused("session_not_found", await update(`${prefix}nowhere`, { name: "Nowhere" }));

  const current = ok(await setReady(session_id, ada));
  assert.equal(current.members[0]?.ready, true);
  const stale = refused("version_mismatch", await update(session_id, { name: "Late" }, '"1"'));
  assert.equal(stale.current_version, current.version);
  ok(await update(session_id, { status: "starting" }, `"${current.version}"`));
  const server = { address: "198.51.100.7", port: 7777 };
  const active = ok(await update(session_id, { status: "active", server }));
  assert.deepEqual([active.server?.port, typeof active.started_at], [7777, "string"]);
  const ended = ok(await update(session_id, { status: "ended" }));
  assert(ended.ended_at);
  const over = refused("session_over", await update(session_id, { name: "Again" }));
  assert.equal(over.session_status, "ended");
}

async function lists(): Promise<void> {
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    const parity = i % 2 ? "odd" : "even";
    ids.push((await createSession({ attributes: { parity, level: i } }, "list")).session_id);
  }
  ok(await update(ids[0]!, { status: "cancelled" }));
  type Query = NonNullable<paths["/api/v1/sessions"]["get"]["parameters"]["query"]>;
  const list = async (query: Query) =>
    ok(
      await api.GET("/api/v1/sessions", {
        params: { query: { game_mode: `${prefix}list`, ...query } },
      }),
    );
  const count = async (query: Query) => (await list(query)).items.length;
  assert.equal(await count({}), 4);
  assert.equal(await count({ joinable: true }), 4);
  assert.equal(await count({ attribute: ["parity:odd"] }), 2);
  assert.equal(await count({ attribute: ["parity:odd", "level:3"] }), 1);
  assert.equal(await count({ status: ["cancelled"] }), 1);
  const walked: string[] = [];
  let page = await list({ status: ["waiting", "cancelled"], limit: 2 });
  while (true) {
    walked.push(...page.items.map((session) => session.session_id));
    if (page.next_cursor === null) break;
    const cursor = page.next_cursor;
    page = await list({ status: ["waiting", "cancelled"], limit: 2, cursor });
  }
  assert.deepEqual(walked, ids.toReversed());

  const path = { session_id: ids[1]!, player_id: dan };
  const party = await api.POST("/api/v1/sessions/{session_id}/players", {
    params: { path }, body: { player_ids: [dan] },
  });
  assert.equal(ok(party).player_count, 1);
  const leave = "/api/v1/sessions/{session_id}/players/{player_id}";
  ok(await api.DELETE(leave, { params: { path } }), 204);
  ok(await api.DELETE("/api/v1/players/{player_id}", { params: { path: { player_id: dan } } }), 204);
}

assert.equal(ok(await api.GET("/health")).status, "ok");
await players();
await play();
await lists();
