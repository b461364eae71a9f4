// The files that are shipped: the node and the `writ` command as plain JavaScript in `dist/<stamp>/`, made from the sources when they
// have changed. Runs under whatever Node starts it (20 or later); looking whether something changed takes some 10 ms.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
/** Besides the sources of the packages: what decides how they are bundled. */
const inputs = ["scripts/bundle.mjs", "scripts/build-bundle.mjs", "node_modules/.package-lock.json"];

/** The sources are run as they are, with types stripped at run time: for whoever works on Writ itself. */
export const isFromSource = process.env.WRIT_SOURCE === "1";

/**
 * The folder with `node.js` and `writ.js` for the sources as they stand, built by `node` when it is not there. `also` names further
 * entries (name → file), which get a folder of their own. Exits with a remedy when it cannot be built.
 */
export function bundle(node, also = {}) {
  const folder = path.join(root, "dist", stampOf(also));
  if (existsSync(folder)) return folder;
  const script = path.join(root, "scripts", "build-bundle.mjs");
  const built = spawnSync(node, [script, folder, JSON.stringify(also)], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  // Whatever failed after it was in its place, or because another start was faster, is of no interest.
  if (built.status === 0 || existsSync(folder)) return folder;
  console.error(
    `writ: cannot build the files to run in ${folder}${built.error === undefined ? "" : `: ${built.error.message}`}\n` +
      "      Look at the message above; run `npm ci`, make `dist` writable, or set WRIT_SOURCE=1 to run the sources as they are.",
  );
  process.exit(70);
}

/** Names the sources by place, time and size: a clone that was moved, updated or edited has another one. */
function stampOf(also) {
  const hash = createHash("sha256").update(JSON.stringify([root, also]));
  const add = (file) => {
    const { mtimeMs, size } = statSync(file);
    hash.update(`${file} ${mtimeMs} ${size}\n`);
  };
  for (const file of inputs) add(path.join(root, file));
  for (const file of Object.values(also)) add(file);
  const packages = path.join(root, "packages");
  for (const name of readdirSync(packages)) {
    if (name === "testkit") continue;
    add(path.join(packages, name, "package.json"));
    walk(path.join(packages, name, "src"), add);
  }
  return hash.digest("hex").slice(0, 16);
}

function walk(folder, add) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) walk(file, add);
    else add(file);
  }
}
