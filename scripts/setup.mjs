// Setting up a clone: installs what the lockfile names and finds the Node that runs Writ. Plain JavaScript, for this file and its
// callers are the only ones that run under whatever Node the machine has (20 or later).
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const nodeMajorMin = 24;
const binFolder = path.join(root, "node_modules", ".bin");
const isWindows = process.platform === "win32";

/**
 * Installs the dependencies when they are missing or not those of the lockfile, and returns the Node to run and the environment in
 * which it and the tools are found first. Exits with a remedy when that cannot be had.
 */
export function prepare() {
  const reason = reasonToInstall(
    readLock("package-lock.json") ?? {},
    readLock("node_modules/.package-lock.json"),
  );
  if (reason !== null) install(reason);
  const node = findNode();
  if (node === undefined) {
    stop(
      `Writ needs Node ${nodeMajorMin}, which comes with its dependencies, but none is in node_modules.`,
      "Run `npm ci --include=optional` (optional dependencies carry Node for this platform), " +
        `or install Node ${nodeMajorMin} or later yourself and try again.`,
    );
  }
  const separator = isWindows ? ";" : ":";
  const environment = {
    ...process.env,
    PATH: [path.dirname(node), binFolder, process.env.PATH ?? ""].join(separator),
  };
  return { node, environment };
}

/**
 * Why `npm ci` is needed, or null. Compares what the lockfile wants with what npm recorded at the end of an installation, so that an
 * interrupted one shows.
 */
export function reasonToInstall(wanted, installed) {
  if (installed === undefined) return "first start";
  for (const [place, entry] of Object.entries(wanted)) {
    if (!place.startsWith("node_modules/")) continue;
    const present = installed[place];
    if (present === undefined ? !entry.optional : present.version !== entry.version) {
      return `${place.slice("node_modules/".length)} differs from the lockfile`;
    }
  }
  return null;
}

function readLock(name) {
  try {
    return JSON.parse(readFileSync(path.join(root, name), "utf8")).packages;
  } catch {
    return undefined;
  }
}

function install(reason) {
  console.log(`writ: installing dependencies (${reason}) …`);
  const done = spawnSync("npm", ["ci", "--include=dev", "--include=optional", "--loglevel=error"], {
    cwd: root,
    stdio: "inherit",
    shell: isWindows,
  });
  if (done.status === 0) return;
  stop(
    `Installing the dependencies failed${done.error === undefined ? "" : `: ${done.error.message}`}.`,
    "Look at npm's message above; check the network and the registry (`npm ping`), then try again.",
  );
}

/** Node 24 or later: the one from the dependencies, else the one that runs this file. */
function findNode() {
  const own = path.join(binFolder, isWindows ? "node.cmd" : "node");
  if (existsSync(own)) {
    const version = spawnSync(own, ["--version"], { encoding: "utf8", shell: isWindows });
    if (version.status === 0 && majorOf(version.stdout) >= nodeMajorMin) return own;
  }
  return majorOf(process.version) >= nodeMajorMin ? process.execPath : undefined;
}

function majorOf(version) {
  return Number.parseInt(version.trim().slice(1), 10);
}

/** Exit status of a child as a shell tells it. */
export function exitStatus(code, signal) {
  return code ?? 128 + (constants.signals[signal] ?? 0);
}

function stop(problem, remedy) {
  console.error(`writ: ${problem}\n      ${remedy}`);
  process.exit(1);
}
