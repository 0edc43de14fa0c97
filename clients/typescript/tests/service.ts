import { GameApiClient, type Player } from "game-api-client";

/** The address of the real service; `npm test` refuses to start without it. */
export const address = process.env["GAME_API_URL"] as string;

/** A token of the role `admin`; undefined if the service does not need one. */
export const token = process.env["GAME_API_TOKEN"];

export const client = new GameApiClient({ baseUrl: address, token });

/** Part of the names of this run, because the database of the service may hold those of others. */
export const run = Math.random().toString(36).slice(2, 10);

let count = 0;

export function newPlayer(): Promise<Player> {
  count += 1;
  return client.createPlayer({ username: `u${run}${process.pid}_${count}` });
}

export function newSession(maxPlayers: number, host?: Player) {
  const hosted = host ? { host_player_id: host.player_id } : {};
  return client.createSession({ name: "Friday duel", game_mode: `m${run}`, max_players: maxPlayers, ...hosted });
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}
