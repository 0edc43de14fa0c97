import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request as forward, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { address, token } from "./service.js";

async function bundle(contents: string): Promise<string> {
  const stdin = { contents, resolveDir: fileURLToPath(new URL(".", import.meta.url)) };
  const options = { bundle: true, minify: true, format: "esm", platform: "browser", write: false } as const;
  const { outputFiles, warnings } = await build({ stdin, target: "es2022", ...options });
  assert.deepEqual(warnings, []);
  return outputFiles[0]?.text ?? "";
}

test("the client is bundled for browsers, and is small", async (t) => {
  const size = (await bundle('export { GameApiClient, GameApiError } from "game-api-client"')).length;
  t.diagnostic(`the minified bundle has ${size} bytes`);
  assert.ok(size < 16_000, `${size} bytes`);
});

test("a bundle contains only what is used", async () => {
  assert.ok((await bundle('export { KNOWN_CODES } from "game-api-client"')).length < 1_000);
});

const chromium = ["chromium", "google-chrome"]
  .flatMap((name) => (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name)))
  .find(existsSync);
const missing = "no browser: apt-get install chromium";
const skip = chromium === undefined && process.env["CI"] !== "true" ? missing : false;

test("the bundle works in a browser", { skip, timeout: 120_000 }, async (t) => {
  assert.ok(chromium, missing);
  const page = '<script type="module" src="/page.js"></script>';
  const script = await bundle(`import { report } from "./page.js"; report(${JSON.stringify(token)});`);
  // The page and the service have the same origin, so that the service needs no CORS.
  const report = new Promise<string>((resolve) => {
    const server = createServer((request, response) => {
      if (request.url === "/") response.setHeader("Content-Type", "text/html").end(page);
      else if (request.url === "/page.js") response.setHeader("Content-Type", "text/javascript").end(script);
      else if (request.url === "/moved/health") response.writeHead(307, { Location: "/health" }).end();
      else if (request.url === "/report") void text(request).then(resolve).then(() => response.end());
      else {
        const { method, headers } = request;
        const relay = (answer: IncomingMessage) => {
          answer.pipe(response.writeHead(answer.statusCode ?? 502, answer.headers));
        };
        request.pipe(forward(new URL(request.url ?? "/", address), { method, headers } as object, relay));
      }
    });
    server.listen(0, "127.0.0.1", () => browse(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`));
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
  });

  async function browse(url: string): Promise<void> {
    const profile = await mkdtemp(join(tmpdir(), "game-api-client-"));
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];
    const browser = spawn(chromium as string, [...flags, `--user-data-dir=${profile}`, url], { stdio: "ignore" });
    const ended = new Promise((resolve) => browser.on("exit", resolve));
    t.after(async () => {
      browser.kill();
      await ended;
      // The other processes of the browser may still write for a moment.
      await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    });
  }

  assert.deepEqual(JSON.parse(await report), {
    seated: 1,
    etag: '"2"',
    unchanged: true,
    code: "session_full",
    refused: "AbortError",
    redirected: "0 The client follows no redirection.",
  });
});
