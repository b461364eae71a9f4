import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const script = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "scripts", "setup-system.sh");

/** What the script says where only these programs are there, as nobody in particular. */
function setUp(programs: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "writ-system-"));
  try {
    const all = { uname: "echo Linux", id: "echo 1000", cut: "cat", sed: "cat", ...programs };
    for (const [name, body] of Object.entries(all))
      writeFileSync(path.join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    const options = { env: { PATH: `${folder}` }, encoding: "utf8", input: "" } as const;
    const { status, stdout, stderr } = spawnSync("/bin/sh", [script], options);
    return { status, stdout: stdout.trim(), stderr: stderr.trim() };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const base = { git: "echo 'git version 2.1'", node: "echo v24.0.0", npm: "echo 11.0.0" };

test("E32 a Linux without bubblewrap is told so, and is never asked for a password", () => {
  expect(setUp(base)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("missing: bwrap, and there is no apt-get"),
  });
  const apt = { ...base, "apt-get": "exit 1" };
  expect(setUp(apt)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("needs root or a passwordless sudo"),
  });
  expect(setUp({ ...base, bwrap: "exit 0" })).toMatchObject({
    status: 0,
    stdout: expect.stringContaining("nothing to install"),
  });
});

test("E32 root, or a passwordless sudo, installs the package bubblewrap", () => {
  const apt = { "apt-get": 'echo "apt-get $*"', env: 'shift; "$@"' };
  const expected = {
    status: 0,
    stdout: expect.stringMatching(/installing: bubblewrap\napt-get update\napt-get install .* bubblewrap$/),
  };
  expect(setUp({ ...base, ...apt, id: "echo 0" })).toMatchObject(expected);
  expect(setUp({ ...base, ...apt, sudo: 'shift; [ "$1" = true ] || "$@"' })).toMatchObject(expected);
});
