/** Runs in a browser: `bundle.test.ts` bundles it, serves it, and waits for its report. */
import { GameApiClient, GameApiError } from "game-api-client";

async function play(client: GameApiClient) {
  const player = await client.createPlayer({ username: `web${Date.now()}` });
  const session = await client.createSession({ name: "Browser", game_mode: "duel", max_players: 1 });
  const joined = await client.joinSession(session.session_id, player.player_id);
  const unchanged = await client.getSession(joined.session_id, { ifNoneMatch: joined.version });
  const party = { player_ids: [player.player_id, "nobody"] };
  const error = await client.joinSessionAsParty(session.session_id, party).catch((reason: unknown) => reason);
  const refused = await client.health({ signal: AbortSignal.abort() }).catch((reason: Error) => reason.name);
  const moved = new GameApiClient({ baseUrl: `${location.origin}/moved` });
  const redirected = await moved.health().catch((reason: unknown) => reason);
  return {
    seated: joined.player_count,
    etag: joined.etag,
    unchanged: unchanged === undefined,
    code: error instanceof GameApiError ? error.code : String(error),
    refused,
    redirected: redirected instanceof GameApiError ? `${redirected.status} ${redirected.detail}` : String(redirected),
  };
}

export async function report(token?: string): Promise<void> {
  const result = await play(new GameApiClient({ baseUrl: location.origin, token })).catch(String);
  await fetch("/report", { method: "POST", body: JSON.stringify(result) });
}
