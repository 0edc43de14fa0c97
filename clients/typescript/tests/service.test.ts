import assert from "node:assert/strict";
import test from "node:test";
import { GameApiClient, GameApiError, KNOWN_CODES, type ErrorCode } from "game-api-client";
import { address, client, collect, newPlayer, newSession, run, token } from "./service.js";

function fails(call: Promise<unknown>, status: number, code: ErrorCode, members: object = {}): Promise<void> {
  return assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof GameApiError, String(error));
    assert.equal(error.status, status, error.message);
    assert.equal(error.code, code);
    assert.equal(error.requestId, error.problem?.request_id);
    for (const [name, value] of Object.entries(members)) {
      assert.deepEqual(error.problem?.[name], value);
    }
    return true;
  });
}

test("the service is healthy", async () => {
  assert.equal((await client.health()).status, "ok");
});

test("a player is created, read, changed, found and deleted", async () => {
  const username = `Ada${run}`;
  const created = await client.createPlayer({ username, region: "eu-central-1", attributes: { level: 5 } });
  const id = created.player_id;
  assert.equal(created.etag, '"1"');
  assert.deepEqual(await client.getPlayer(id), created);
  const changed = await client.updatePlayer(id, { rating: 1500, region: null });
  assert.deepEqual([changed.version, changed.etag, changed.rating, changed.region], [2, '"2"', 1500, null]);
  assert.deepEqual(changed.attributes, { level: 5 });
  const { items, next_cursor } = await client.listPlayers({ username: username.toUpperCase() });
  assert.deepEqual([items.map((player) => player.player_id), next_cursor], [[id], null]);
  await fails(client.createPlayer({ username }), 409, "username_taken");
  await client.deletePlayer(id);
  await fails(client.getPlayer(id), 404, "player_not_found", { player_id: id });
});

test("players meet in a session, from its creation to its end", async () => {
  const [host, guest, late] = [await newPlayer(), await newPlayer(), await newPlayer()];
  const { session_id: id } = await newSession(2, host);
  const joined = await client.joinSession(id, guest.player_id, { team: "red" });
  assert.deepEqual(joined.members.map((member) => [member.player_id, member.team]), [
    [host.player_id, null],
    [guest.player_id, "red"],
  ]);
  await fails(client.joinSession(id, late.player_id), 409, "session_full");
  const ready = await client.updateMember(id, guest.player_id, { ready: true });
  assert.equal(ready.members[1]?.ready, true);
  assert.equal((await client.getPlayerSession(guest.player_id)).session_id, id);
  await client.leaveSession(id, guest.player_id);
  await fails(client.getPlayerSession(guest.player_id), 404, "not_in_session");
  const allowed = ["starting", "cancelled"];
  await fails(client.updateSession(id, { status: "ended" }), 409, "illegal_transition", { from: "waiting", allowed });
  assert.equal((await client.updateSession(id, { status: "cancelled" })).status, "cancelled");
  await fails(client.updateSession(id, { name: "Other" }), 409, "session_over");
});

test("a party joins completely or not at all", async () => {
  const party = [await newPlayer(), await newPlayer()].map((player) => player.player_id);
  const { session_id: small } = await newSession(1);
  await fails(client.joinSessionAsParty(small, { player_ids: party }), 409, "session_full");
  const { session_id: large } = await newSession(2);
  const joined = await client.joinSessionAsParty(large, { player_ids: party });
  assert.deepEqual(joined.members.map((member) => member.player_id), party);
});

test("a read returns undefined while the version is the current one", async () => {
  const session = await newSession(2);
  const id = session.session_id;
  for (const ifNoneMatch of [session.version, session.etag]) {
    assert.equal(await client.getSession(id, { ifNoneMatch }), undefined);
  }
  await client.updateSession(id, { name: "Other" });
  assert.equal((await client.getSession(id, { ifNoneMatch: session.version }))?.version, 2);
  const player = await newPlayer();
  assert.equal(await client.getPlayer(player.player_id, { ifNoneMatch: player.version }), undefined);
});

test("a change is made only if the version is the current one", async () => {
  const player = await newPlayer();
  const session = await newSession(2, player);
  const id = session.session_id;
  for (const ifMatch of [7, '"7"', 'W/"1"']) {
    const current = { current_version: 1 };
    await fails(client.updateSession(id, { name: "Other" }, { ifMatch }), 412, "version_mismatch", current);
    await fails(client.updateMember(id, player.player_id, { ready: true }, { ifMatch }), 412, "version_mismatch");
    await fails(client.joinSession(id, player.player_id, {}, { ifMatch }), 412, "version_mismatch");
    await fails(client.leaveSession(id, player.player_id, { ifMatch }), 412, "version_mismatch");
    await fails(client.updatePlayer(player.player_id, { rating: 1 }, { ifMatch }), 412, "version_mismatch");
    await fails(client.deletePlayer(player.player_id, { ifMatch }), 412, "version_mismatch");
  }
  assert.equal((await client.updateSession(id, { name: "Other" }, { ifMatch: session.version })).version, 2);
  assert.equal((await client.updateSession(id, { name: "Third" }, { ifMatch: '"2"' })).version, 3);
});

test("the pages of sessions are walked, with every filter", async () => {
  const game_mode = `p${run}`;
  const ids: string[] = [];
  for (const level of [1, 2, 3, 4, 5]) {
    const attributes = { map: "harbour & co:1", level, ranked: true };
    const session = await client.createSession({ name: "Page", game_mode, max_players: level, attributes });
    ids.unshift(session.session_id);
  }
  const find = async (filter: Parameters<typeof client.sessions>[0]) =>
    (await collect(client.sessions({ game_mode, ...filter }))).map((session) => session.session_id);
  assert.deepEqual(await find({ limit: 2 }), ids);
  assert.deepEqual(await find({ limit: 5 }), ids);
  assert.deepEqual(await find({ attributes: { map: "harbour & co:1", level: 5, ranked: true } }), ids.slice(0, 1));
  assert.deepEqual(await find({ attributes: { level: 6 } }), []);
  assert.deepEqual(await find({ min_free_slots: 4 }), ids.slice(0, 2));
  await client.updateSession(ids[0] as string, { status: "cancelled" });
  assert.deepEqual(await find({ status: ["cancelled", "ended"] }), ids.slice(0, 1));
  assert.deepEqual(await find({ status: ["cancelled", "waiting"] }), ids);
  assert.deepEqual(await find({}), ids.slice(1));
  assert.deepEqual(await find({ joinable: true, limit: 1 }), ids.slice(1));
});

test("the pages of players are walked, and no further than needed", async () => {
  const created = [await newPlayer(), await newPlayer(), await newPlayer(), await newPlayer(), await newPlayer()];
  const seen = (await collect(client.players({ limit: 2 }))).map((player) => player.player_id);
  assert.equal(new Set(seen).size, seen.length);
  for (const { player_id } of created) assert.ok(seen.includes(player_id));
  for await (const player of client.players({ limit: 2 })) {
    assert.equal(player.player_id, seen[0]);
    break;
  }
});

test("a walk ends when its signal aborts", async () => {
  const controller = new AbortController();
  for (let count = 0; count < 3; count += 1) await newPlayer();
  const walk = async () => {
    for await (const _ of client.players({ limit: 1 }, { signal: controller.signal })) controller.abort();
  };
  await assert.rejects(walk, { name: "AbortError" });
});

test("a validation error lists what is wrong", async () => {
  const body = { username: "ada", unknown: 1 };
  await assert.rejects(client.createPlayer(body), (error: unknown) => {
    assert.ok(error instanceof GameApiError);
    assert.equal(error.code, "validation_error");
    assert.deepEqual(error.problem?.errors?.[0]?.loc, ["body", "unknown"]);
    return true;
  });
});

const expired = process.env["GAME_API_EXPIRED_TOKEN"];
const open = token && expired ? false : "the service needs no token: set GAME_API_TOKEN and GAME_API_EXPIRED_TOKEN";

test("an expired token is replaced once", { skip: open }, async () => {
  await fails(new GameApiClient({ baseUrl: address, token: String(expired) }).listPlayers(), 401, "unauthenticated");
  const tokens = [String(expired), String(token)];
  let asked = 0;
  const refreshing = new GameApiClient({ baseUrl: address, token: () => String(tokens[asked++]) });
  assert.equal((await refreshing.listPlayers({ limit: 1 })).items.length, 1);
  await refreshing.listSessions();
  assert.equal(asked, 2);
});

test("a POST whose response was lost creates once", async () => {
  let sent = 0;
  const lossy: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    sent += 1;
    if (sent === 1) throw new TypeError("the response was lost");
    return response;
  };
  const username = `lost${run}`;
  const unlucky = new GameApiClient({ baseUrl: address, token, fetch: lossy });
  const player = await unlucky.createPlayer({ username }, { idempotencyKey: username });
  assert.deepEqual([sent, player.version], [2, 1]);
  assert.deepEqual(await unlucky.createPlayer({ username }, { idempotencyKey: username }), player);
  await fails(unlucky.createPlayer({ username }), 409, "username_taken");
});

test("the known codes are those of the OpenAPI document", async () => {
  const { components } = (await (await fetch(`${address}/openapi.json`)).json()) as {
    components: { examples: Record<string, { value: { code?: string } }> };
  };
  const codes = new Set(Object.values(components.examples).map((example) => example.value.code));
  codes.delete(undefined);
  assert.deepEqual([...codes].sort(), [...KNOWN_CODES]);
});
