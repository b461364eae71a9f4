#!/usr/bin/env node
// `npx writ`: hands over to bin/writ of the clone, which runs the command with the clone's own Node.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

const clone = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const bundled = path.join(clone, "node_modules", ".bin", "node");
const main = path.join(clone, "packages", "cli", "src", "main.ts");
const done = spawnSync(bundled, ["--conditions=@writ/source", main, ...process.argv.slice(2)], {
  stdio: "inherit",
});
if (done.error !== undefined) {
  process.stderr.write(
    `writ: Node 24 is missing (${done.error.message}). Run \`npm ci\` in ${clone} first.\n`,
  );
}
process.exitCode = done.status ?? 70;
