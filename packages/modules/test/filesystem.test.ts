import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  readdirSync,
} from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openSpot } from "../src/filesystem/contained.ts";
import { readBack, sha256Of } from "../src/filesystem/files.ts";
import { bench, find, inspectWith, resolveWith, type Bench } from "./support.ts";

const text = (b: Bench, name: string) => readFileSync(join(b.root, name), "utf8");
const code = (wanted: string) => expect.objectContaining({ code: wanted });

test("F1 each kind of bad path has its own fault", async () => {
  using b = bench();
  const cases: readonly (readonly [string, string])[] = [
    ["../x", "filesystem.path-parent"],
    ["inbox/../../x", "filesystem.path-parent"],
    ["inbox/a\u0000.csv", "filesystem.path-control"],
    ["inbox/a\n.csv", "filesystem.path-control"],
    ["inbox/\ud800", "filesystem.path-control"],
    ["inbox\\..\\x", "filesystem.path-backslash"],
    ["/etc/passwd", "filesystem.outside"],
    [`${b.root}x/y`, "filesystem.outside"],
    [`${b.root}/../etc/passwd`, "filesystem.path-parent"],
    ["a".repeat(256), "filesystem.path-too-long"],
    ["", "filesystem.path-invalid"],
  ];
  for (const [path, wanted] of cases) {
    await expect(b.do("filesystem.read_file", { path }), path).rejects.toEqual(code(wanted));
    await expect(b.do("filesystem.write_file", { path, content: "x" }), path).rejects.toEqual(code(wanted));
  }
  b.file("inbox/a.csv", "1");
  expect((await b.do("filesystem.read_file", { path: `${b.root}/inbox//./a.csv` })).result["path"]).toBe(
    "inbox/a.csv",
  );
});

test("K84 K86 links that lead out are refused for every path parameter, links inside are resolved", async () => {
  using b = bench();
  const outside = mkdtempSync(join(tmpdir(), "writ-outside-"));
  try {
    writeFileSync(join(outside, "secret"), "secret");
    symlinkSync(outside, join(b.root, "inbox/out"));
    symlinkSync("../../..", join(b.root, "inbox/up"));
    symlinkSync(join(outside, "secret"), join(b.root, "inbox/leak"));
    symlinkSync("../approved", join(b.root, "inbox/in"));
    symlinkSync("loop", join(b.root, "loop"));
    b.file("approved/a.csv", "a");
    b.file("inbox/b.csv", "b");
    for (const path of ["inbox/out/secret", "inbox/up/etc/passwd", "inbox/leak"]) {
      await expect(b.do("filesystem.read_file", { path }), path).rejects.toEqual(code("filesystem.outside"));
      await expect(b.do("filesystem.write_file", { path, content: "" }), path).rejects.toEqual(
        code("filesystem.outside"),
      );
      await expect(b.do("filesystem.append_file", { path, content: "" }), path).rejects.toEqual(
        code("filesystem.outside"),
      );
      await expect(b.do("csv.append_row", { path, values: ["x"] }), path).rejects.toEqual(
        code("filesystem.outside"),
      );
      await expect(
        b.do("filesystem.copy_file", { source: path, destination: "inbox/c" }),
        path,
      ).rejects.toEqual(code("filesystem.outside"));
    }
    await expect(
      b.do("filesystem.move_file", { source: "inbox/b.csv", destination: "inbox/out/b" }),
    ).rejects.toEqual(code("filesystem.outside"));
    await expect(
      b.do("filesystem.move_file", { source: "inbox/leak", destination: "inbox/x" }),
    ).rejects.toEqual(code("filesystem.is-a-link"));
    await expect(b.do("filesystem.read_file", { path: "loop/x" })).rejects.toEqual(
      code("filesystem.link-loop"),
    );
    expect(
      (await b.do("filesystem.read_file", { path: "inbox/in/a.csv" })).inspection.targets[0],
    ).toMatchObject({
      name: "approved/a.csv",
      resolved: join(b.root, "approved/a.csv"),
    });
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
    expect(readdirSync(outside)).toEqual(["secret"]);
  } finally {
    rmSync(outside, { recursive: true });
  }
});

test("F4 pipes, folders and missing files are refused without hanging", async () => {
  using b = bench();
  execFileSync("mkfifo", [join(b.root, "inbox/pipe")]);
  await expect(b.do("filesystem.read_file", { path: "inbox/pipe" })).rejects.toEqual(
    code("filesystem.not-a-file"),
  );
  await expect(b.do("filesystem.append_file", { path: "inbox/pipe", content: "x" })).rejects.toEqual(
    code("filesystem.not-a-file"),
  );
  await expect(b.do("filesystem.read_file", { path: "inbox" })).rejects.toEqual(
    code("filesystem.is-a-folder"),
  );
  await expect(b.do("filesystem.read_file", { path: "inbox/none" })).rejects.toEqual(
    code("filesystem.not-found"),
  );
  await expect(b.do("filesystem.write_file", { path: "none/x", content: "" })).rejects.toEqual(
    code("filesystem.folder-missing"),
  );
  await expect(b.do("filesystem.write_file", { path: "archive/x", content: "" })).rejects.toEqual(
    code("filesystem.read-only-place"),
  );
});

test("F12 read_file reads lines and parts, and says what is not text", async () => {
  using b = bench();
  b.file("inbox/t.txt", "één\ntwo\nthree\nfour");
  expect(
    (await b.do("filesystem.read_file", { path: "inbox/t.txt", start_line: 2, end_line: 3 })).result,
  ).toMatchObject({
    content: "two\nthree\n",
    lineCount: 4,
    truncated: false,
  });
  expect((await b.do("filesystem.read_file", { path: "inbox/t.txt", max_bytes: 1 })).result).toMatchObject({
    content: "",
    truncated: true,
  });
  expect((await b.do("filesystem.read_file", { path: "inbox/t.txt", max_bytes: 2 })).result).toMatchObject({
    content: "é",
  });
  b.file("inbox/l.txt", Buffer.from("caf\xe9", "latin1"));
  await expect(b.do("filesystem.read_file", { path: "inbox/l.txt" })).rejects.toMatchObject({
    code: "filesystem.not-text",
    facts: { guess: "windows-1252" },
  });
  expect(
    (await b.do("filesystem.read_file", { path: "inbox/l.txt", encoding: "windows-1252" })).result["content"],
  ).toBe("café");
  b.file("inbox/u.txt", Buffer.from("\ufeffhé", "utf16le"));
  await expect(b.do("filesystem.read_file", { path: "inbox/u.txt" })).rejects.toMatchObject({
    facts: { guess: "utf-16le" },
  });
  await expect(b.do("filesystem.read_file", { path: "inbox/t.txt", encoding: "x-none" })).rejects.toEqual(
    code("filesystem.encoding-unknown"),
  );
  b.file("inbox/big.txt", Buffer.alloc(10 * 1024 * 1024 + 1, "a"));
  await expect(b.do("filesystem.read_file", { path: "inbox/big.txt" })).rejects.toEqual(
    code("filesystem.too-large"),
  );
});

test("F5 F6 K94 write_file creates, replaces, and its undo restores content, mode and time", async () => {
  using b = bench();
  const created = await b.do("filesystem.write_file", {
    path: "new/deep/a.txt",
    content: "é",
    create_dirs: true,
  });
  expect(created.result).toMatchObject({ created: true, sizeBytes: 2 });
  const replaced = await b.do("filesystem.write_file", { path: "new/deep/a.txt", content: "two" });
  expect(text(b, "new/deep/a.txt")).toBe("two");
  await b.undo(replaced.performed);
  expect(text(b, "new/deep/a.txt")).toBe("é");
  await b.undo(created.performed);
  expect(existsSync(join(b.root, "new"))).toBe(false);
  b.file("inbox/m.sh", "old");
  chmodSync(join(b.root, "inbox/m.sh"), 0o750);
  utimesSync(join(b.root, "inbox/m.sh"), 1_700_000_000, 1_700_000_000.123);
  const before = statSync(join(b.root, "inbox/m.sh"));
  const done = await b.do("filesystem.write_file", { path: "inbox/m.sh", content: "new" });
  expect(statSync(join(b.root, "inbox/m.sh")).mode).toBe(before.mode);
  await b.undo(done.performed);
  expect(statSync(join(b.root, "inbox/m.sh"))).toMatchObject({ mode: before.mode, size: 3 });
  expect(Math.abs(statSync(join(b.root, "inbox/m.sh")).mtimeMs - before.mtimeMs)).toBeLessThan(1);
  await expect(
    b.do("filesystem.write_file", { path: "inbox/m.sh", content: "", overwrite: false }),
  ).rejects.toEqual(code("filesystem.exists"));
  await expect(
    b.do("filesystem.write_file", { path: "inbox/e", content: "€", encoding: "iso-8859-1" }),
  ).rejects.toEqual(code("filesystem.not-encodable"));
  expect(readdirSync(join(b.root, "inbox"))).toEqual(["m.sh"]);
});

test("K118 undo is held when somebody changed, replaced or removed the file, and says which", async () => {
  using b = bench();
  const held = async (change: () => void, reason: RegExp) => {
    b.file("inbox/a", "before");
    const { performed } = await b.do("filesystem.write_file", { path: "inbox/a", content: "after" });
    change();
    await expect(b.undo(performed)).rejects.toMatchObject({
      code: "undo.world-changed",
      kind: "broken",
      message: expect.stringMatching(reason),
    });
  };
  const path = join(b.root, "inbox/a");
  await held(() => writeFileSync(path, "others"), /content was changed/);
  await held(() => rmSync(path), /deleted/);
  await held(() => {
    writeFileSync(`${path}2`, "after");
    utimesSync(`${path}2`, 1_700_000_000, 1_700_000_000);
    renameSync(`${path}2`, path);
  }, /replaced/);
});

test("F8 F10 append keeps lines whole and undo removes exactly its own bytes", async () => {
  using b = bench();
  b.file("journal.csv", "a\nb");
  const one = await b.do("filesystem.append_file", { path: "journal.csv", content: "one" });
  expect(text(b, "journal.csv")).toBe("a\nb\none\n");
  const two = await b.do("csv.append_row", { path: "journal.csv", values: ["two", 2] });
  appendFileSync(join(b.root, "journal.csv"), "others\n");
  await b.undo(one.performed);
  expect(text(b, "journal.csv")).toBe("a\nbtwo,2\nothers\n");
  await expect(b.undo(one.performed)).rejects.toEqual(code("undo.world-changed"));
  await expect(b.undo(two.performed)).rejects.toEqual(code("undo.world-changed"));
});

test("F10 appends of several runs are taken back in any order", async () => {
  using b = bench();
  const rows = [];
  for (const name of ["a", "b", "c"])
    rows.push(await b.do("csv.append_row", { path: "journal.csv", values: [name, 1] }));
  const [first, second, third] = rows;
  if (first === undefined || second === undefined || third === undefined) throw new Error("three rows");
  await b.undo(first.performed);
  await b.undo(third.performed);
  expect(text(b, "journal.csv")).toBe("b,1\n");
  await b.undo(second.performed);
  expect(existsSync(join(b.root, "journal.csv"))).toBe(true);
});

test("F11 a file is not moved onto itself, by its own name or another of its names", async () => {
  using b = bench();
  b.file("inbox/a.csv", "x\n");
  linkSync(join(b.root, "inbox/a.csv"), join(b.root, "inbox/b.csv"));
  for (const name of ["inbox/a.csv", "inbox/b.csv"]) {
    const move = b.do("filesystem.move_file", { source: "inbox/a.csv", destination: name, overwrite: true });
    await expect(move, name).rejects.toMatchObject({ code: "filesystem.exists" });
  }
  expect(text(b, "inbox/a.csv")).toBe("x\n");
});

test("F11 a copy at the old name does not make a move count as taken back", async () => {
  using b = bench();
  b.file("inbox/a.csv", "x\n");
  const { performed } = await b.do("filesystem.move_file", {
    source: "inbox/a.csv",
    destination: "approved/a.csv",
  });
  const { undo } = performed;
  if (undo === null) throw new Error("a move can be taken back");
  const resolved = () => resolveWith(find(b.modules, "filesystem.move_back"), undo.params, b.context());
  expect(await resolved()).toEqual({ kind: "not-done" });
  b.file("inbox/a.csv", "x\n");
  expect(await resolved()).toMatchObject({ kind: "unknown" });
  expect(existsSync(join(b.root, "approved/a.csv"))).toBe(true);
});

test("F11 move keeps the file, never replaces unasked, and undo brings both files back", async () => {
  using b = bench();
  b.file("inbox/a.csv", "a");
  b.file("approved/a.csv", "older");
  await expect(
    b.do("filesystem.move_file", { source: "inbox/a.csv", destination: "approved/" }),
  ).rejects.toEqual(code("filesystem.exists"));
  const done = await b.do("filesystem.move_file", {
    source: "inbox/a.csv",
    destination: "approved/",
    overwrite: true,
  });
  expect(text(b, "approved/a.csv")).toBe("a");
  await b.undo(done.performed);
  expect([text(b, "inbox/a.csv"), text(b, "approved/a.csv")]).toEqual(["a", "older"]);
  const again = await b.do("filesystem.move_file", { source: "inbox/a.csv", destination: "approved/b.csv" });
  b.file("inbox/a.csv", "taken");
  await expect(b.undo(again.performed)).rejects.toEqual(code("undo.world-changed"));
});

test("F13 what changed between looking and acting is not acted on", async () => {
  using b = bench();
  b.file("inbox/a.csv", "a");
  const params = { source: "inbox/a.csv", destination: "approved/a.csv" };
  const capability = find(b.modules, "filesystem.move_file");
  const context = b.context();
  const { before } = await inspectWith(capability, params, context);
  b.file("inbox/a.csv", "changed");
  await expect(capability.perform(params, { ...context, before })).rejects.toMatchObject({
    code: "filesystem.changed",
    kind: "transient",
  });
  expect(text(b, "inbox/a.csv")).toBe("changed");
});

test("F9 a torn append is completed, a foreign one is left to a person, none is doubled", async () => {
  using b = bench();
  b.file("j", "x\n");
  const path = join(b.root, "j");
  const params = { path: "j", content: "hello" };
  const capability = find(b.modules, "filesystem.append_file");
  const context = b.context();
  const { before } = await inspectWith(capability, params, context);
  const acting = { ...context, before };
  const resolve = () => resolveWith(capability, params, acting);
  expect(await resolve()).toEqual({ kind: "not-done" });
  appendFileSync(path, "hel");
  expect(await resolve()).toMatchObject({ kind: "done" });
  expect(text(b, "j")).toBe("x\nhello\n");
  expect(await resolve()).toMatchObject({ kind: "done" });
  expect(text(b, "j")).toBe("x\nhello\n");
  writeFileSync(path, "x\nothers\n");
  expect(await resolve()).toEqual({ kind: "not-done" });
  writeFileSync(path, "x\nothers\nhello\n");
  expect((await resolve()).kind).toBe("unknown");
  writeFileSync(path, "x\nothers\nhel");
  expect((await resolve()).kind).toBe("unknown");
  writeFileSync(path, "");
  expect((await resolve()).kind).toBe("unknown");
});

test("F11 a move that was cut between link and unlink is completed", async () => {
  using b = bench();
  b.file("inbox/a.csv", "a");
  const params = { source: "inbox/a.csv", destination: "approved/a.csv" };
  const capability = find(b.modules, "filesystem.move_file");
  const context = b.context();
  const { before } = await inspectWith(capability, params, context);
  linkSync(join(b.root, "inbox/a.csv"), join(b.root, "approved/a.csv"));
  expect((await resolveWith(capability, params, { ...context, before })).kind).toBe("done");
  expect(existsSync(join(b.root, "inbox/a.csv"))).toBe(false);
  mkdirSync(join(b.root, "inbox/a.csv"));
});

test("F5 K33 a write whose read-back differs is not called done", async () => {
  using b = bench();
  b.file("inbox/a", "what is there");
  const context = b.context();
  using spot = openSpot(b.root, "inbox/a", { followLast: true });
  const claimed = { sha256: sha256Of(Buffer.from("what was written")), sizeBytes: 16 };
  await expect(readBack(spot, claimed, context.signal)).rejects.toMatchObject({
    code: "filesystem.readback",
    kind: "broken",
    facts: { outcome: "unknown" },
  });
  const { performed } = await b.do("filesystem.write_file", { path: "inbox/a", content: "x" });
  expect(performed.evidence).toBe("observed");
});
