#!/usr/bin/env node
// `npx writ`: hands over to bin/writ of the clone, which runs the command with the clone's own Node.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

const clone = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const done = spawnSync(path.join(clone, "bin", "writ"), process.argv.slice(2), { stdio: "inherit" });
if (done.error !== undefined) process.stderr.write(`writ: cannot run bin/writ: ${done.error.message}\n`);
process.exitCode = done.status ?? 70;
