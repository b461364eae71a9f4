// `npm start`: sets the clone up and runs a node until it is stopped. Flags after `--` go to the node.
import { spawn } from "node:child_process";
import path from "node:path";
import { exitStatus, prepare, root } from "./setup.mjs";

const { node, environment } = prepare();
const main = path.join(root, "packages", "server", "src", "main.ts");
const child = spawn(node, ["--conditions=@writ/source", main, ...process.argv.slice(2)], {
  cwd: process.env.INIT_CWD ?? process.cwd(),
  env: environment,
  stdio: "inherit",
});

// A terminal sends Ctrl-C to every process in front, so the node has it already; anything else must be handed on.
process.on("SIGINT", () => {
  if (!process.stdin.isTTY) child.kill("SIGINT");
});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));

child.on("error", (error) => {
  console.error(`writ: cannot start the node: ${error.message}\n      Remove node_modules and try again.`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(exitStatus(code, signal)));
