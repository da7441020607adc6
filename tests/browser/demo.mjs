// The demo, started as `make demo` does and listened to.

import { spawn } from "node:child_process";
import { once } from "node:events";

import { ROOT } from "./programs.mjs";

/** Starts a demo with these variables. `page` is the address that it prints, once it stays up. */
export function start(variables, command = ["bash", "demo/demo.sh"]) {
  const env = { ...process.env, NO_COLOR: "1", ...variables };
  const demo = spawn(command[0], command.slice(1), { cwd: ROOT, env, stdio: "pipe" });
  const end = once(demo, "close").then(([code]) => code);
  let said = "";
  const heard = new Promise((resolve) => {
    for (const stream of [demo.stdout, demo.stderr]) {
      stream.on("data", (text) => {
        said += text;
        if (said.includes("until Ctrl-C")) resolve();
      });
    }
  });
  const link = (pattern) => {
    const found = said.match(pattern);
    if (!found) throw new Error(`no ${pattern} in:\n${said}`);
    return found[0];
  };
  const page = async () => {
    await Promise.race([heard, end]);
    return link(/^http:\S+\/verify\/#evidence=\S+/m);
  };
  return { process: demo, said: () => said, link, page, end: () => end };
}
