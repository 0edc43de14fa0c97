import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server for what a healthy service does not do: it gives each answer once, and the last one from then on. */
export async function serve(test: TestContext, ...answers: Answer[]) {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    request.resume();
    answers[Math.min(requests.length, answers.length) - 1]?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

export function json(status: number, body: object, headers: Record<string, string> = {}): Answer {
  const type = status < 400 ? "application/json" : "application/problem+json";
  return (_, response) => response.writeHead(status, { "Content-Type": type, ...headers }).end(JSON.stringify(body));
}

export function problem(status: number, code: string, headers: Record<string, string> = {}, members = {}): Answer {
  const body = { type: "about:blank", title: "Title", status, detail: "The detail.", code, request_id: "r-1" };
  return json(status, { ...body, ...members }, headers);
}

export function html(status: number): Answer {
  return (_, response) => response.writeHead(status, { "Content-Type": "text/html" }).end("<h1>Proxy</h1>");
}

export const broken: Answer = (request) => request.socket.destroy();

export const brokenInTheBody: Answer = (_, response) => {
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": "1000" });
  response.write('{"player_id":', () => response.destroy());
};

export const silent: Answer = () => {};
