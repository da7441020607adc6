// A real service with agents that did something: the programs of this workspace, on a folder of their own.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";

import { DIST } from "./host.mjs";
import { build } from "./programs.mjs";

/** Text that must stay text wherever it is shown. */
export const HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script> &amp; zero\u200bwidth";

/** A log with the agents `worker`, which has worked, and `idle`, which has not. */
export async function startService() {
  const programs = build();
  const folder = await mkdtemp(join(tmpdir(), "pages-"));
  const data = join(folder, "log");
  const environment = { PATH: process.env.PATH, HOME: folder, XDG_STATE_HOME: join(folder, "state") };
  const call = (program, words) => execFileSync(join(programs, program), words, { env: environment, cwd: folder, stdio: "pipe" }).toString();
  call("dragonsd", ["init", "--data", data, "--origin", "example.com/pages"]);
  const serve = ["serve", "--data", data, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--web", fileURLToPath(DIST)];
  const service = spawn(join(programs, "dragonsd"), serve, { env: environment, stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise((resolve) => service.once("close", resolve));
  const url = await firstLine(service);
  environment.DRAGONS_SERVER = url;
  const key = (name) => join(folder, `${name}.pem`);
  const trust = ["--trust", join(data, "trust.json")];
  const operator = ["--key", join(data, "keys", "operator.pem"), ...trust];
  const dragons = (...words) => call("dragons", words);
  const run = (goal, ...program) => spawnSync(join(programs, "dragons"),
    ["run", "--agent", "worker", "--dir", "worker", "--goal", goal, "--key", key("worker"), ...trust, "--", ...program],
    { env: environment, cwd: folder, stdio: "pipe" });
  for (const name of ["worker", "idle"]) {
    await makeAgent(join(folder, name), name);
    dragons("keygen", "--name", name, "--out", key(name));
    dragons("manifest", "register", name, ...operator, "--agent-key", key(name));
  }
  const grant = (name) => dragons("lease", "grant", name, "--allow", "run:sh", "--allow", "read:**", ...operator);
  grant("worker");
  run("a program that fails", "sh", "-c", "exit 3");
  run("a program that is not allowed", "cat", "/dev/null");
  run(HOSTILE, "sh", "-c", "echo one");
  return {
    url,
    /** The value at an address, as JSON. */
    json: async (path) => (await fetch(new URL(path, url))).json(),
    /** What happened to `worker`, verified and collected into a folder with a sealed case: the address of its page. */
    incident: () => {
      const out = join(folder, "incident");
      const { status, stderr } = spawnSync(join(programs, "dragons"), ["incident", "worker", "--from", "-1h", "-o", out, "--page", ...trust],
        { env: environment, cwd: folder, stdio: "pipe" });
      if (status !== 3) throw new Error(stderr.toString());
      return pathToFileURL(join(out, "timeline.html")).href;
    },
    /** The hash of the charter, by which people know the log. */
    charter: JSON.parse(await readFile(join(data, "trust.json"))).charter,
    dragons,
    grant,
    stopAgent: (name, reason) => dragons("agent", "stop", name, "--reason", reason, ...operator),
    /** Stops it as a machine that hangs does: connections stay open, and nothing answers. */
    freeze: () => service.kill("SIGSTOP"),
    thaw: () => service.kill("SIGCONT"),
    stop: async () => {
      service.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

async function firstLine(service) {
  for await (const line of createInterface({ input: service.stdout })) {
    const [, url] = line.match(/^listening on (http:\S+)/) ?? [];
    if (url) return url;
  }
  throw new Error("the service did not start");
}

async function makeAgent(folder, name) {
  await mkdir(join(folder, "src"), { recursive: true });
  await writeFile(join(folder, "src", "work.sh"), "echo work\n");
  await writeFile(join(folder, "agent.toml"), [
    `agent = "${name}"`, 'version = "1"', 'code = ["src"]', 'config = ["agent.toml"]', "ignore = []",
    'capabilities = ["run:*", "read:**"]', "max_inflight_ms = 60000", ""].join("\n"));
}
