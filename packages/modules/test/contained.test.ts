import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { faultRecord } from "@writ/core/fault";
import { openSpot } from "../src/filesystem/contained.ts";
import { bench } from "./support.ts";

// Swaps `d` between a folder and a link to the outside as fast as it can.
const swapper = `
  const { renameSync, symlinkSync, mkdirSync, writeFileSync } = require("node:fs");
  const [root, outside] = process.argv.slice(1);
  mkdirSync(root + "/real");
  writeFileSync(root + "/real/x", "inside");
  symlinkSync(outside, root + "/link");
  require("node:fs").writeSync(1, "ready");
  for (;;) {
    renameSync(root + "/real", root + "/d");
    renameSync(root + "/d", root + "/real");
    renameSync(root + "/link", root + "/d");
    renameSync(root + "/d", root + "/link");
  }
`;

test("F2 a link swapped in between check and use leads nowhere", async ({ skip }) => {
  skip(process.platform !== "linux", "without /proc/self/fd the race is narrowed, not closed");
  using b = bench();
  const outside = mkdtempSync(join(tmpdir(), "writ-outside-"));
  writeFileSync(join(outside, "x"), "secret");
  const swap = spawn(process.execPath, ["-e", swapper, join(b.root, "inbox"), outside]);
  try {
    await once(swap.stdout, "data");
    let reached = 0;
    let refused = 0;
    const end = Date.now() + 2500;
    for (let i = 0; Date.now() < end; i++) {
      const attempts = [
        b.do("filesystem.read_file", { path: "inbox/d/x" }),
        b.do("filesystem.append_file", { path: "inbox/d/x", content: "appended" }),
        b.do("filesystem.write_file", { path: `inbox/d/w${i}`, content: "written" }),
        b.do("filesystem.move_file", { source: b.file(`approved/m${i}`, "m"), destination: `inbox/d/m${i}` }),
        b.do("filesystem.copy_file", { source: "inbox/d/x", destination: `approved/${i}` }),
      ];
      for (const outcome of await Promise.allSettled(attempts)) {
        if (outcome.status === "fulfilled") {
          reached++;
          expect(JSON.stringify(outcome.value.result)).not.toContain("secret");
        } else {
          refused++;
          expect(faultRecord(outcome.reason), String(outcome.reason)).toBeDefined();
        }
      }
    }
    // Both sides of the swap were met, or the race tested nothing.
    expect(reached).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
    expect(readdirSync(outside)).toEqual(["x"]);
    expect(readFileSync(join(outside, "x"), "utf8")).toBe("secret");
    for (const name of readdirSync(join(b.root, "approved"))) {
      expect(readFileSync(join(b.root, "approved", name), "utf8")).not.toContain("secret");
    }
  } finally {
    const ended = swap.exitCode === null ? once(swap, "exit") : null;
    swap.kill("SIGKILL");
    await ended;
    rmSync(outside, { recursive: true });
  }
});

test("F3 without /proc the real path is compared before and after", () => {
  using b = bench();
  const outside = mkdtempSync(join(tmpdir(), "writ-outside-"));
  try {
    mkdirSync(join(b.root, "inbox/d"));
    const spot = openSpot(b.root, "inbox/d/x", { followLast: true, throughFd: false });
    expect(spot.at).toBe(join(b.root, "inbox/d/x"));
    rmSync(join(b.root, "inbox/d"), { recursive: true });
    symlinkSync(outside, join(b.root, "inbox/d"));
    expect(() => spot.at).toThrow(expect.objectContaining({ code: "filesystem.outside" }));
    expect(() => spot[Symbol.dispose]()).toThrow(expect.objectContaining({ code: "filesystem.outside" }));
  } finally {
    rmSync(outside, { recursive: true });
  }
});

test("F2 no folder or file stays open, whether an operation succeeds or is refused", async ({ skip }) => {
  skip(process.platform !== "linux", "counts open files in /proc/self/fd");
  using b = bench();
  b.file("inbox/a/b/c.csv", "amount\n1\n");
  symlinkSync("a/b", join(b.root, "inbox/link"));
  symlinkSync("/etc", join(b.root, "inbox/out"));
  const turn = async () => {
    const outcomes = await Promise.allSettled([
      b.do("csv.aggregate", { path: "inbox/link/c.csv", column: "amount" }),
      b.do("csv.aggregate", { path: "inbox/link/c.csv", column: "none" }),
      b.do("filesystem.read_file", { path: "inbox/out/passwd" }),
      b.do("filesystem.read_file", { path: "inbox/a/b/c.csv/d" }),
      b.do("filesystem.write_file", { path: "inbox/none/x", content: "" }),
      b.do("filesystem.copy_file", { source: "inbox/a/b/c.csv", destination: "inbox/a/b/c.csv" }),
      b.do("filesystem.list_directory", { path: "inbox", recursive: true, max_results: 1 }),
      b.do("filesystem.extract_archive", { source: "inbox/a/b/c.csv", destination: "x" }),
    ]);
    expect(outcomes.filter(({ status }) => status === "rejected")).toHaveLength(6);
  };
  await turn();
  const before = readdirSync("/proc/self/fd").length;
  for (let i = 0; i < 20; i++) await turn();
  expect(readdirSync("/proc/self/fd").length).toBeLessThanOrEqual(before);
});
