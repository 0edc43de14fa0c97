// Two players meet in a lobby, and their match starts and ends.
//
//     GAME_API_URL=http://127.0.0.1:8000 node examples/lobby.mjs
//
// If the service needs a token, set GAME_API_TOKEN to one of the role "admin".

import { GameApiClient, GameApiError } from "game-api-client";

const { GAME_API_URL: baseUrl = "http://127.0.0.1:8000", GAME_API_TOKEN: token } = process.env;
const client = new GameApiClient({ baseUrl, token });
const run = Date.now();

const ada = await client.createPlayer({ username: `ada-${run}` });
const bob = await client.createPlayer({ username: `bob-${run}` });
const eve = await client.createPlayer({ username: `eve-${run}` });

const created = await client.createSession({
  name: "Friday duel",
  game_mode: "duel",
  max_players: 2,
  min_players: 2,
  host_player_id: ada.player_id,
  attributes: { map: "harbour", run },
});
const id = created.session_id;
console.log(`${ada.display_name} opened "${created.name}" for ${created.max_players} players.`);

for await (const session of client.sessions({ game_mode: "duel", joinable: true, attributes: { run } })) {
  const joined = await client.joinSession(session.session_id, bob.player_id, { team: "blue" });
  console.log(`${bob.display_name} found and joined it: ${joined.player_count} of ${joined.max_players} seats are taken.`);
}

try {
  await client.joinSession(id, eve.player_id);
} catch (error) {
  if (!(error instanceof GameApiError && error.code === "session_full")) throw error;
  console.log(`${eve.display_name} came too late: ${error.detail}`);
}

let session = await client.getSession(id);
const newer = await client.getSession(id, { ifNoneMatch: session.version });
console.log(`Version ${session.version} is ${newer === undefined ? "still" : "no longer"} the current one.`);

for (const { player_id } of session.members) {
  session = await client.updateMember(id, player_id, { ready: true });
}
for (const status of ["starting", "active", "ended"]) {
  session = await client.updateSession(id, { status }, { ifMatch: session.version });
  console.log(`The session is ${session.status}, at version ${session.version}.`);
}
