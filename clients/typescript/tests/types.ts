/** Never runs: `tsc` checks what the types of the client accept and refuse. */
import { GameApiClient, GameApiError, type ErrorCode, type KnownCode, type Session, type Tagged } from "game-api-client";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function assertType<_ extends true>(): void {}

export async function types(client: GameApiClient, error: unknown, version: number | undefined): Promise<void> {
  const session = await client.getSession("s");
  assertType<Equal<typeof session, Tagged<Session>>>();
  const maybe = await client.getSession("s", { ifNoneMatch: session.version });
  assertType<Equal<typeof maybe, Tagged<Session> | undefined>>();
  const either = await client.getSession("s", { ifNoneMatch: version });
  assertType<Equal<typeof either, Tagged<Session> | undefined>>();
  for await (const found of client.sessions({ status: ["waiting"], attributes: { map: "harbour", level: 5 } })) {
    assertType<Equal<typeof found, Session>>();
  }
  await client.createPlayer({ username: "ada" }, { signal: AbortSignal.timeout(1), timeout: 1, retries: 0 });
  await client.updateSession("s", { server: null, region: null }, { ifMatch: session.etag });

  // @ts-expect-error A player needs a username.
  await client.createPlayer({ rating: 1 });
  // @ts-expect-error There is no such field.
  await client.createPlayer({ username: "ada", level: 1 });
  // @ts-expect-error There is no such status.
  await client.updateSession("s", { status: "paused" });
  // @ts-expect-error A rating can't be cleared.
  await client.updatePlayer("ada", { rating: null });
  // @ts-expect-error The attributes are an object.
  client.sessions({ attribute: ["level:5"] });
  // @ts-expect-error The iterator moves the cursor.
  client.sessions({ cursor: "c" });
  // @ts-expect-error A read has no If-Match.
  await client.getSession("s", { ifMatch: 1 });
  // @ts-expect-error A player's session can't be read conditionally.
  await client.getPlayerSession("ada", { ifNoneMatch: 1 });
  // @ts-expect-error A creation has no condition.
  await client.createSession({ name: "s", game_mode: "duel", max_players: 2 }, { ifMatch: 1 });

  if (error instanceof GameApiError) {
    assertType<Equal<typeof error.code, ErrorCode>>();
    const known: KnownCode = "session_full";
    if (error.code === known || error.code === "a_code_of_tomorrow") return;
    // @ts-expect-error Not every code is known.
    const code: KnownCode = error.code;
    void code;
  }
}
