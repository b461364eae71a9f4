// Real large files and real kills: minutes of disk work, so not among the unit tests.
import { spawnSync } from "node:child_process";
import { statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bench } from "./support.ts";

const gibibyte = 1024 ** 3;

test("F18 a 1 GiB file is hashed, copied, moved and undone in constant memory", () => {
  using b = bench();
  const path = join(b.root, "inbox/big");
  writeFileSync(path, "");
  truncateSync(path, gibibyte);
  const script = `
    import { bench } from ${JSON.stringify(new URL("support.ts", import.meta.url).pathname)};
    const b = bench({ root: process.argv[1] });
    const copied = await b.do("filesystem.copy_file", { source: "inbox/big", destination: "approved/big" });
    const moved = await b.do("filesystem.move_file", { source: "approved/big", destination: "approved/big2" });
    await b.undo(moved.performed);
    await b.undo(copied.performed);
    const { code } = await b.do("filesystem.read_file", { path: "inbox/big" }).then(() => ({}), (error) => error);
    process.stdout.write(JSON.stringify({ kilobytes: process.resourceUsage().maxRSS, code }));
  `;
  const args = ["--conditions=@writ/source", "--input-type=module-typescript", "-e", script, b.root];
  const ran = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(ran.stderr).toBe("");
  const { kilobytes, code } = JSON.parse(ran.stdout);
  expect(code).toBe("filesystem.too-large");
  // A third of the file: what the process needs without it is about 150 000.
  expect(kilobytes).toBeLessThan(350_000);
  expect(statSync(path).size).toBe(gibibyte);
});
