import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { GameApiClient, GameApiError, GameApiNetworkError, type ClientOptions } from "game-api-client";
import { broken, brokenInTheBody, html, json, problem, serve, silent, type Answer } from "./server.js";

const player = {
  player_id: "ada",
  username: "Ada",
  display_name: "Ada",
  region: null,
  rating: 1000,
  attributes: {},
  created_at: "2026-11-22T19:00:00.123Z",
  updated_at: "2026-11-22T19:00:00.123Z",
  version: 3,
};
const success = json(200, player);
const unavailable = problem(503, "database_unavailable");

async function start(t: TestContext, answers: Answer[], options: Partial<ClientOptions> = {}) {
  const server = await serve(t, ...answers);
  return { ...server, client: new GameApiClient({ baseUrl: server.address, ...options }) };
}

const create = (client: GameApiClient) => client.createPlayer({ username: "ada" });

async function errorOf(call: Promise<unknown>): Promise<GameApiError> {
  const error = await call.then(() => undefined, (reason: unknown) => reason);
  assert.ok(error instanceof GameApiError, `expected a GameApiError, got ${String(error)}`);
  return error;
}

for (const [name, answer] of [
  ["503", unavailable],
  ["502 of a proxy", html(502)],
  ["504 of a proxy", html(504)],
  ["429", problem(429, "rate_limited")],
  ["broken connection", broken],
  ["connection broken in the body", brokenInTheBody],
] as const) {
  test(`a GET and a POST are repeated after a ${name}`, async (t) => {
    for (const call of [(client: GameApiClient) => client.getPlayer("ada"), create]) {
      const { client, requests } = await start(t, [answer, answer, success]);
      assert.equal((await call(client)).version, 3);
      assert.equal(requests.length, 3);
      assert.equal(new Set(requests.map((request) => request.headers["idempotency-key"])).size, 1);
    }
  });
}

test("a PUT and a POST are repeated with their body", async (t) => {
  const bodies: string[] = [];
  const record = (next: Answer): Answer => (request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk)).on("end", () => {
      bodies.push(body);
      next(request, response);
    });
  };
  const { client } = await start(t, [record(unavailable), record(success), record(broken), record(success)]);
  await client.updatePlayer("ada", { rating: 1 });
  await create(client);
  assert.deepEqual(bodies, ['{"rating":1}', '{"rating":1}', '{"username":"ada"}', '{"username":"ada"}']);
});

test("a DELETE is repeated", async (t) => {
  const { client, requests } = await start(t, [broken, (_, response) => response.writeHead(204).end()]);
  assert.equal(await client.leaveSession("s", "ada"), undefined);
  assert.equal(requests.length, 2);
});

test("the last error is thrown when the retries are used up", async (t) => {
  const { client, requests } = await start(t, [unavailable], { retries: 1 });
  assert.equal((await errorOf(client.getPlayer("ada"))).code, "database_unavailable");
  assert.equal(requests.length, 2);
});

test("retries: 0 or less turns the retries off, for the client and for one call", async (t) => {
  for (const retries of [0, -1]) {
    const { address, requests, client } = await start(t, [unavailable], { retries });
    await errorOf(client.getPlayer("ada"));
    await errorOf(new GameApiClient({ baseUrl: address }).createPlayer({ username: "ada" }, { retries }));
    assert.equal(requests.length, 2);
  }
});

test("a request is repeated three times, after waits that grow and vary", async (t) => {
  const times: number[] = [];
  const refuse: Answer = (...exchange) => {
    times.push(performance.now());
    unavailable(...exchange);
  };
  const { client } = await start(t, [refuse]);
  await errorOf(create(client));
  assert.equal(times.length, 4);
  // Timers may fire a little early.
  [100, 200, 400].forEach((least, n) => assert.ok((times[n + 1] ?? 0) - (times[n] ?? 0) > least - 10, String(times)));
});

test("a deletion that is repeated and finds no player has succeeded", async (t) => {
  const gone = problem(404, "player_not_found");
  const { client } = await start(t, [broken, gone, gone, problem(429, "rate_limited"), gone]);
  await client.deletePlayer("ada");
  assert.equal((await errorOf(client.deletePlayer("ada"))).code, "player_not_found");
  assert.equal((await errorOf(client.deletePlayer("ada"))).code, "player_not_found");
});

test("a PATCH is repeated only after a 429, which was not executed", async (t) => {
  const ready = (client: GameApiClient) => client.updateMember("s", "ada", { ready: true });
  for (const answer of [unavailable, html(502), broken]) {
    const { client, requests } = await start(t, [answer]);
    await assert.rejects(ready(client));
    assert.equal(requests.length, 1);
  }
  const { client, requests } = await start(t, [problem(429, "rate_limited"), success]);
  await ready(client);
  assert.equal(requests.length, 2);
});

test("errors that a repetition can't cure are not repeated", async (t) => {
  for (const status of [401, 403, 404, 409, 422, 500]) {
    const { client, requests } = await start(t, [problem(status, "any")]);
    await errorOf(client.getPlayer("ada"));
    assert.equal(requests.length, 1, String(status));
  }
});

test("a conditional change is not repeated if it may have been made", async (t) => {
  for (const answer of [unavailable, html(502), broken]) {
    const { client, requests } = await start(t, [answer, success]);
    await assert.rejects(client.updatePlayer("ada", { rating: 1 }, { ifMatch: 2 }));
    assert.equal(requests.length, 1);
  }
});

test("a conditional change is repeated after a 429, which was not executed", async (t) => {
  const { client, requests } = await start(t, [problem(429, "rate_limited"), success]);
  await client.updatePlayer("ada", { rating: 1 }, { ifMatch: 2 });
  assert.deepEqual(requests.map((request) => request.headers["if-match"]), ['"2"', '"2"']);
});

test("Retry-After in seconds is waited for", async (t) => {
  const times: number[] = [];
  const record = (answer: Answer): Answer => (...exchange) => {
    times.push(performance.now());
    answer(...exchange);
  };
  const refused = problem(503, "shutting_down", { "Retry-After": "1" });
  const { client } = await start(t, [record(refused), record(success)]);
  await client.getPlayer("ada");
  const [first = 0, second = 0] = times;
  // Timers may fire a little early.
  assert.ok(second - first > 990, `${second - first} ms`);
});

test("Retry-After as a date is waited for", async (t) => {
  let date = "";
  let repeated = 0;
  const refuse: Answer = (...exchange) => {
    date = new Date(Date.now() + 2000).toUTCString();
    problem(503, "shutting_down", { "Retry-After": date })(...exchange);
  };
  const accept: Answer = (...exchange) => {
    repeated = Date.now();
    success(...exchange);
  };
  const { client } = await start(t, [refuse, accept]);
  await client.getPlayer("ada");
  assert.ok(repeated > Date.parse(date) - 10, `${repeated - Date.parse(date)} ms`);
});

test("a request that must wait for minutes is left to the caller", async (t) => {
  const { client, requests } = await start(t, [problem(429, "rate_limited", { "Retry-After": "120" })]);
  assert.equal((await errorOf(client.getPlayer("ada"))).retryAfter, 120);
  assert.equal(requests.length, 1);
});

test("a Retry-After that can't be read is ignored", async (t) => {
  const { client } = await start(t, [problem(503, "shutting_down", { "Retry-After": "soon" })], { retries: 0 });
  assert.equal((await errorOf(client.getPlayer("ada"))).retryAfter, undefined);
});

test("an error has the members of the problem, also of a code and members that are new", async (t) => {
  const answer = problem(418, "teapot", { "X-Request-ID": "r-2", "Retry-After": "7" }, { handle: { side: "left" } });
  const { client } = await start(t, [answer]);
  const error = await errorOf(client.createPlayer({ username: "ada" }));
  assert.equal(error.message, "418 teapot: The detail.");
  assert.equal(error.name, "GameApiError");
  assert.equal(error.status, 418);
  assert.equal(error.code, "teapot");
  assert.equal(error.detail, "The detail.");
  assert.equal(error.requestId, "r-2");
  assert.equal(error.retryAfter, 7);
  assert.deepEqual(error.problem?.["handle"], { side: "left" });
});

for (const [name, answer, status] of [
  ["the HTML of a proxy", html(502), 502],
  ["a success that is not JSON", html(200), 200],
  ["a success without a body", json(200, {}, { "Content-Length": "0" }), 200],
  ["a success whose JSON is cut off", (_, response) => response.writeHead(200, { "Content-Type": "application/json" }).end("{"), 200],
  ["an error without a body", (_, response) => response.writeHead(500).end(), 500],
  ["a problem without a code", json(400, { title: "Bad Request" }), 400],
  ["a problem that is not JSON", json(503, {}, { "Content-Length": "1" }), 503],
] satisfies [string, Answer, number][]) {
  test(`${name} is a GameApiError with its status`, async (t) => {
    const { client } = await start(t, [answer]);
    const error = await errorOf(client.createPlayer({ username: "ada" }));
    assert.equal(error.status, status);
    assert.equal(error.code, "unexpected_response");
    assert.equal(error.problem, undefined);
  });
}

test("members of a response that are new are passed on", async (t) => {
  const { client } = await start(t, [json(200, { ...player, clan: "red" })]);
  assert.deepEqual(await client.getPlayer("ada"), { ...player, clan: "red", etag: '"3"' });
});

test("a refused connection is a GameApiNetworkError with its cause", async () => {
  const client = new GameApiClient({ baseUrl: "http://127.0.0.1:1", retries: 0 });
  await assert.rejects(client.health(), (error: unknown) => {
    assert.ok(error instanceof GameApiNetworkError);
    assert.equal(error.message, "GET http://127.0.0.1:1/health: fetch failed");
    assert.ok(error.cause instanceof TypeError);
    return true;
  });
});

test("an attempt that takes longer than the timeout is a GameApiNetworkError", async (t) => {
  const { client } = await start(t, [silent], { timeout: 50, retries: 0 });
  await assert.rejects(client.health(), (error: unknown) => {
    assert.ok(error instanceof GameApiNetworkError);
    assert.equal((error.cause as Error).name, "TimeoutError");
    return true;
  });
});

test("each attempt has its own timeout", async () => {
  let attempts = 0;
  const fetch: typeof globalThis.fetch = (_, init) => {
    attempts += 1;
    return new Promise((_, reject) => init?.signal?.addEventListener("abort", () => reject(init.signal?.reason)));
  };
  const client = new GameApiClient({ baseUrl: "http://127.0.0.1:1", timeout: 50, fetch });
  await assert.rejects(client.health(), GameApiNetworkError);
  assert.equal(attempts, 4);
});

test("the timeout includes the body", { timeout: 60_000 }, async (t) => {
  const stalled: Answer = (_, response) => response.writeHead(200, { "Content-Length": "9" }).write("{");
  const { client } = await start(t, [stalled], { timeout: 50, retries: 0 });
  await assert.rejects(client.health(), GameApiNetworkError);
});

test("a signal cancels a request that is under way", { timeout: 60_000 }, async (t) => {
  const controller = new AbortController();
  const { client, requests } = await start(t, [() => controller.abort()]);
  await assert.rejects(client.health({ signal: controller.signal }), { name: "AbortError" });
  assert.equal(requests.length, 1);
});

test("a signal cancels the wait for a retry, with its own reason", async (t) => {
  const controller = new AbortController();
  const answer = problem(503, "shutting_down", { "Retry-After": "30" });
  const { client, requests } = await start(t, [
    (request, response) => {
      response.on("close", () => setTimeout(() => controller.abort(new Error("The player has left.")), 100));
      answer(request, response);
    },
  ]);
  const begin = performance.now();
  await assert.rejects(client.health({ signal: controller.signal }), { message: "The player has left." });
  assert.ok(performance.now() - begin < 25_000);
  assert.equal(requests.length, 1);
});

test("nothing is sent if the signal has already aborted", async (t) => {
  const { client, requests } = await start(t, [success]);
  await assert.rejects(client.getPlayer("ada", { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.equal(requests.length, 0);
});

test("headers are an object or a function, which may be asynchronous", async (t) => {
  const headers = { Authorization: "Bearer token" };
  for (const option of [headers, () => headers, async () => headers, new Headers(headers)]) {
    const { client, requests } = await start(t, [success], { headers: option });
    await client.updatePlayer("ada", {});
    assert.equal(requests[0]?.headers.authorization, "Bearer token");
    assert.equal(requests[0]?.headers["content-type"], "application/json");
  }
});

test("fetch can be replaced", async () => {
  const urls: string[] = [];
  const fetch: typeof globalThis.fetch = async (request) => {
    urls.push((request as Request).url);
    return Response.json({ status: "ok", version: "1", commit: "c" });
  };
  await new GameApiClient({ baseUrl: "https://game.example.com/prefix/", fetch }).health();
  assert.deepEqual(urls, ["https://game.example.com/prefix/health"]);
});

test("an id can't lead to another resource", async (t) => {
  const { client, requests } = await start(t, [success]);
  for (const id of ["", ".", ".."]) {
    await assert.rejects(async () => client.leaveSession(id, "ada"), TypeError);
  }
  await client.getPlayer("../a?b#c");
  assert.deepEqual(requests.map((request) => request.url), ["/api/v1/players/..%2Fa%3Fb%23c"]);
});
