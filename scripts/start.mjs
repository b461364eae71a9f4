// `npm start`: sets the clone up and runs a node until it is stopped. Flags after `--` go to the node.
import { spawn } from "node:child_process";
import path from "node:path";
import { bundle, isFromSource } from "./bundle.mjs";
import { exitStatus, prepare, root } from "./setup.mjs";

const { node, environment } = prepare();
const main = isFromSource
  ? ["--conditions=@writ/source", path.join(root, "packages", "server", "src", "main.ts")]
  : [path.join(bundle(node), "node.js")];
const child = spawn(node, [...main, ...process.argv.slice(2)], {
  cwd: process.env.INIT_CWD ?? process.cwd(),
  // What a start compiles is kept for the next one: a third of its processor time. In the clone, where nobody else can write it.
  env: { NODE_COMPILE_CACHE: path.join(root, "node_modules", ".cache", "writ-compile"), ...environment },
  stdio: "inherit",
  // Out of the terminal's reach, so that it hears of Ctrl-C once, from here.
  detached: process.platform !== "win32",
});

// A terminal, npm and `timeout` may all send the same signal for one wish; the node takes a second one as "now".
const repeatMs = 1000;
const handedOnMs = new Map();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    const nowMs = Date.now();
    if (nowMs - (handedOnMs.get(signal) ?? 0) < repeatMs) return;
    handedOnMs.set(signal, nowMs);
    child.kill(signal);
  });
}

child.on("error", (error) => {
  console.error(`writ: cannot start the node: ${error.message}\n      Remove node_modules and try again.`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(exitStatus(code, signal)));
