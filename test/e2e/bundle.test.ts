import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { root } from "../support/node-process.ts";

let clone = "";
afterEach(() => {
  if (clone !== "") rmSync(clone, { recursive: true, force: true });
});

/** The sources as a clone has them, with the installed dependencies and without anything that was built. */
function cleanClone(): string {
  clone = mkdtempSync(path.join(tmpdir(), "writ-clone-"));
  const isSource = (file: string): boolean => !["dist", "node_modules"].includes(path.basename(file));
  for (const name of ["bin", "examples", "package-lock.json", "package.json", "packages", "scripts"]) {
    cpSync(path.join(root, name), path.join(clone, name), { recursive: true, filter: isSource });
  }
  const installed = path.join(root, "node_modules");
  const place = path.join(clone, "node_modules");
  mkdirSync(path.join(place, "@writ"), { recursive: true });
  for (const name of readdirSync(installed)) {
    if (![".cache", ".package-lock.json", "@writ"].includes(name)) {
      symlinkSync(path.join(installed, name), path.join(place, name));
    }
  }
  cpSync(path.join(installed, ".package-lock.json"), path.join(place, ".package-lock.json"));
  for (const name of readdirSync(path.join(clone, "packages"))) {
    symlinkSync(path.join(clone, "packages", name), path.join(place, "@writ", name));
  }
  return clone;
}

function change(file: string, from: string, to: string): void {
  const place = path.join(clone, file);
  const text = readFileSync(place, "utf8");
  expect(text).toContain(from);
  writeFileSync(place, text.replaceAll(from, to));
}

const built = (): readonly string[] => readdirSync(path.join(clone, "dist"));

async function writ(environment: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const { stdout } = await promisify(execFile)(path.join(clone, "bin", "writ"), args, {
    env: { ...process.env, ...environment },
  });
  return stdout;
}

/** What `npm start` prints, and how the process of the node was called. */
async function startOnce(): Promise<{ readonly printed: string; readonly called: string | null }> {
  const args = [path.join(clone, "scripts", "start.mjs"), "--data", path.join(clone, "data"), "--port", "0"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let printed = "";
  for await (const part of child.stdout.setEncoding("utf8")) {
    printed += part;
    const pid = /process (\d+)/.exec(printed)?.[1];
    if (pid === undefined) continue;
    const called = process.platform === "linux" ? readFileSync(`/proc/${pid}/cmdline`, "utf8") : null;
    child.kill("SIGTERM");
    await exited;
    return { printed, called };
  }
  throw new Error(`the node did not start: ${printed}`);
}

test("E32 the command and the node run from a bundle that follows the sources", async () => {
  cleanClone();
  const help = await writ({}, "--help");
  expect(help).toContain("Usage: writ");
  expect(built()).toHaveLength(1);

  const first = await startOnce();
  if (first.called !== null) expect(first.called).toContain(path.join(clone, "dist", built()[0] ?? ""));
  expect(built()).toHaveLength(1);

  change("packages/server/src/guide.ts", "Writ ${", "Writ, bundled again, ${");
  change("packages/cli/src/run.ts", '"writ"', '"writ-changed"');
  expect((await startOnce()).printed).toContain("Writ, bundled again, 0");
  expect(await writ({}, "--help")).toContain("Usage: writ-changed");
  expect(built()).toHaveLength(2);

  change("packages/cli/src/run.ts", '"writ-changed"', '"writ-source"');
  expect(await writ({ WRIT_SOURCE: "1" }, "--help")).toContain("Usage: writ-source");
  expect(built()).toHaveLength(2);
});
