// What the system gives the tests: where `CI` is `true` it is installed when that may be done; what is missing is said, never hidden.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./setup.mjs";

const installTimeoutMs = 180_000;

/**
 * Runs `setup:system` where `CI` is `true`. A failure fails nothing by itself: the tests that miss something are skipped, each with its
 * reason, and counted as missing.
 * @returns {string} what happened, one line
 */
export function setupSystem(environment = process.env) {
  if (environment.CI !== "true")
    return "system: nothing is installed outside CI (`npm run setup:system` does it)";
  const script = path.join(root, "scripts", "setup-system.sh");
  const done = spawnSync("sh", [script], {
    cwd: root,
    env: environment,
    encoding: "utf8",
    timeout: installTimeoutMs,
    // No terminal: what would ask for a password is refused.
    stdio: ["ignore", "pipe", "pipe"],
  });
  const last = (text) => (text ?? "").trim().split("\n").at(-1) ?? "";
  if (done.status === 0) return `system: ${last(done.stdout)}`;
  const why = done.error?.message ?? (last(done.stderr) || `exit code ${done.status}`);
  return `system: could not install everything: ${why}`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) console.log(setupSystem());
