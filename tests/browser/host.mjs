// A static host, as plain as hosts are: files below a path, and nothing else.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

/** The page as it was built. */
export const DIST = new URL("../../web/dist/", import.meta.url);

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** Serves the page below `under`. `extra` are files beside it, by their names; one that is a promise is sent when it is there. */
export async function serve({ under = "/", extra = {} } = {}) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://host");
    const name = pathname.startsWith(under) ? pathname.slice(under.length) || "index.html" : null;
    try {
      if (name === null || name.includes("..")) throw new Error("not below the page");
      const content = await (extra[name] ?? readFile(fileURLToPath(new URL(name, DIST))));
      response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "application/octet-stream" });
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}${under}`,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
