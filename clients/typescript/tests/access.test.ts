import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import test from "node:test";
import { inspect } from "node:util";
import { GameApiClient, GameApiError, type ClientOptions } from "game-api-client";
import { uuid } from "../dist/idempotency.js";
import { broken, json, problem, serve, type Answer } from "./server.js";

const SECRET = "s3cret-token";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const success = json(200, { version: 1 });
const refused = problem(401, "unauthenticated", { "WWW-Authenticate": "Bearer" });

/** Refuses every token but this one. */
const accept = (token: string): Answer => (request, response) => {
  const isValid = request.headers.authorization === `Bearer ${token}`;
  (isValid ? success : refused)(request, response);
};

const tokensOf = (requests: IncomingMessage[]) => requests.map((request) => request.headers.authorization);
const keysOf = (requests: IncomingMessage[]) => requests.map((request) => request.headers["idempotency-key"]);

/** A function that gets the tokens t1, t2, ... */
function source() {
  let calls = 0;
  const get = () => `t${(calls += 1)}`;
  return { get, calls: () => calls };
}

function connect(baseUrl: string, options: Omit<ClientOptions, "baseUrl">): GameApiClient {
  return new GameApiClient({ baseUrl, ...options });
}

test("a token is sent with every request but health, in place of another header", async (t) => {
  const { address, requests } = await serve(t, success);
  const client = connect(address, { token: SECRET, headers: { authorization: "Basic x" } });
  await client.getPlayer("ada");
  await client.createPlayer({ username: "ada" });
  await connect(address, { token: SECRET }).health();
  assert.deepEqual(tokensOf(requests), [`Bearer ${SECRET}`, `Bearer ${SECRET}`, undefined]);
});

test("a token that is refused is a GameApiError", async (t) => {
  const { address, requests } = await serve(t, refused);
  const call = connect(address, { token: SECRET }).getPlayer("ada");
  await assert.rejects(call, { name: "GameApiError", status: 401, code: "unauthenticated" });
  assert.equal(requests.length, 1);
});

test("a function is asked again once after a 401, whatever the request and the retries are", async (t) => {
  for (const retries of [0, 3]) {
    const answers = [success, refused, success, refused, refused, success];
    const { address, requests } = await serve(t, ...answers);
    const { get, calls } = source();
    const client = connect(address, { token: get, retries });
    await client.createPlayer({ username: "ada" });
    await client.updateSession("s", { name: "duel" }, { ifMatch: 3 });
    await assert.rejects(client.updateMember("s", "ada", { ready: true }), { status: 401 });
    await client.getPlayer("ada");
    assert.deepEqual(tokensOf(requests), [1, 1, 2, 2, 3, 3].map((n) => `Bearer t${n}`));
    assert.equal(calls(), 3);
  }
});

test("the same token again is not sent again", async (t) => {
  const { address, requests } = await serve(t, refused);
  await assert.rejects(connect(address, { token: async () => SECRET }).getPlayer("ada"), { status: 401 });
  assert.equal(requests.length, 1);
});

test("concurrent requests share one token and one refresh", async (t) => {
  const { address, requests } = await serve(t, accept("t2"));
  const { get, calls } = source();
  let running = 0;
  const client = connect(address, {
    token: async () => {
      assert.equal((running += 1), 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      running -= 1;
      return get();
    },
  });
  await Promise.all(Array.from({ length: 20 }, () => client.getPlayer("ada")));
  assert.equal(calls(), 2);
  assert.equal(tokensOf(requests).filter((token) => token === "Bearer t2").length, 20);
});

test("what the function throws is thrown, and the next request asks again", async (t) => {
  for (const isAsync of [false, true]) {
    const { address, requests } = await serve(t, refused, accept("t2"));
    const outcomes = [new Error("no login"), "t1", new Error("away"), "t2"];
    const get = () => {
      const outcome = outcomes.shift();
      if (typeof outcome !== "string") throw outcome;
      return outcome;
    };
    const client = connect(address, { token: isAsync ? async () => get() : get });
    await assert.rejects(client.getPlayer("ada"), { message: "no login" });
    await assert.rejects(client.getPlayer("ada"), { message: "away" });
    await client.getPlayer("ada");
    assert.deepEqual(tokensOf(requests), ["Bearer t1", "Bearer t2"]);
  }
});

test("a signal ends the wait for a token, and the others go on", { timeout: 60_000 }, async (t) => {
  const { address } = await serve(t, success);
  const controller = new AbortController();
  let deliver = (_: string) => {};
  const asked = new Promise<string>((resolve) => (deliver = resolve));
  const client = connect(address, { token: () => asked });
  const aborted = client.getPlayer("ada", { signal: controller.signal });
  const other = client.getPlayer("ada");
  controller.abort();
  await assert.rejects(aborted, { name: "AbortError" });
  deliver(SECRET);
  await other;
});

test("a redirection is an error that takes the token nowhere", async (t) => {
  const elsewhere = await serve(t, success);
  for (const status of [301, 302, 303, 307, 308]) {
    const moved: Answer = (_, response) => response.writeHead(status, { Location: elsewhere.address }).end();
    const { address, requests } = await serve(t, moved);
    const client = connect(address, { token: SECRET });
    const error = { status, code: "unexpected_response", detail: "The client follows no redirection." };
    await assert.rejects(client.getPlayer("ada"), error);
    await assert.rejects(client.createPlayer({ username: "ada" }), error);
    assert.equal(requests.length, 2);
  }
  assert.equal(elsewhere.requests.length, 0);
});

test("a token that can't be sent is refused without showing it", async (t) => {
  const { address, requests } = await serve(t, success);
  for (const token of ["", "a b", `Bearer ${SECRET}`, `${SECRET}\r\nX: y`, "tökén", 7 as unknown as string]) {
    const isRefused = (error: unknown) => {
      assert.ok(error instanceof TypeError && error.message.startsWith("the token can't be sent"), String(error));
      assert.doesNotMatch(inspect(error), /s3cret|tökén/);
      return true;
    };
    assert.throws(() => connect(address, { token }), isRefused);
    await assert.rejects(connect(address, { token: () => token }).getPlayer("ada"), isRefused);
  }
  assert.equal(requests.length, 0);
});

test("the token is in no text", async (t) => {
  for (const answer of [refused, broken, problem(500, "internal_error")]) {
    const { address } = await serve(t, answer);
    for (const token of [SECRET, () => SECRET]) {
      const client = connect(address, { token, headers: { "X-Key": SECRET }, retries: 0 });
      const error = await client.getPlayer("ada").catch((reason: unknown) => reason);
      assert.ok(error instanceof Error);
      const texts = [error.message, error.stack, JSON.stringify(error), inspect(error, { depth: 9, showHidden: true })];
      texts.push(String(client), JSON.stringify(client), inspect(client, { depth: 9, showHidden: true }));
      assert.deepEqual(texts.filter((text) => text?.includes(SECRET)), []);
    }
  }
});

test("every POST has a key of its own, and no other request has one", async (t) => {
  const { address, requests } = await serve(t, success);
  const client = connect(address, {});
  await client.createPlayer({ username: "ada" });
  await client.createPlayer({ username: "ada" });
  await client.createSession({ name: "s", game_mode: "duel", max_players: 2 });
  await client.joinSessionAsParty("s", { player_ids: ["ada"] });
  const keys = keysOf(requests);
  assert.equal(new Set(keys).size, 4);
  for (const key of keys) assert.match(String(key), UUID);
  await client.joinSession("s", "ada");
  await client.updateMember("s", "ada", {});
  assert.deepEqual(keysOf(requests).slice(4), [undefined, undefined]);
});

test("a key of the caller is sent", async (t) => {
  const { address, requests } = await serve(t, success);
  const client = connect(address, {});
  await client.createPlayer({ username: "ada" }, { idempotencyKey: "a key" });
  await client.createSession({ name: "s", game_mode: "duel", max_players: 2 }, { idempotencyKey: "b".repeat(64) });
  await client.joinSessionAsParty("s", { player_ids: ["ada"] }, { idempotencyKey: "~" });
  assert.deepEqual(keysOf(requests), ["a key", "b".repeat(64), "~"]);
  for (const idempotencyKey of ["", " a", "b".repeat(65), "é", "a\r\nX: y"]) {
    await assert.rejects(client.createPlayer({ username: "ada" }, { idempotencyKey }), TypeError);
  }
  assert.equal(requests.length, 3);
});

test("a request in progress is waited for, and is an error if it stays so", async (t) => {
  const inProgress = problem(409, "request_in_progress", { "Retry-After": "1" });
  const { address, requests } = await serve(t, broken, inProgress, success);
  const begin = performance.now();
  assert.equal((await connect(address, {}).createPlayer({ username: "ada" })).version, 1);
  // Timers may fire a little early.
  assert.ok(performance.now() - begin > 990);
  assert.equal(new Set(keysOf(requests)).size, 1);
  const { address: busy } = await serve(t, problem(409, "request_in_progress"));
  const call = connect(busy, { retries: 1 }).createPlayer({ username: "ada" });
  await assert.rejects(call, (error: unknown) => error instanceof GameApiError && error.code === "request_in_progress");
});

test("a UUID is made without crypto.randomUUID as well", () => {
  const made = Array.from({ length: 1000 }, () => uuid({}));
  for (const key of made) assert.match(key, UUID);
  assert.equal(new Set(made).size, 1000);
});
