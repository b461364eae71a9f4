// A3 and F6 together: what undo needs is not only kept, the verification of the ledger knows that it must be there.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { encodeEntry, readEnvelope, type EntryPlace } from "@writ/core/entry-codec";
import { nodeId } from "@writ/core/ids";
import type { ValueMap } from "@writ/core/value";
import { bench, find, inspectWith, resolveWith } from "./support.ts";

const place: EntryPlace = {
  node: nodeId("n_0000000000000000"),
  epoch: 1,
  seq: 1,
  previousHash: new Uint8Array(32),
  runPrevious: new Uint8Array(32),
};

/** Blobs that verification finds in an entry with these facts. */
function blobsOf(kind: string, facts: unknown): readonly string[] {
  const draft = { kind, run: "r_00000000", cause: null, actor: { kind: "node" }, atMs: 1, facts };
  return readEnvelope(encodeEntry(draft as never, place)).blobs;
}

const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");

test.each<readonly [string, ValueMap]>([
  ["filesystem.write_file", { path: "inbox/a.txt", content: "new" }],
  ["filesystem.copy_file", { source: "inbox/b.txt", destination: "inbox/a.txt", overwrite: true }],
  ["filesystem.move_file", { source: "inbox/b.txt", destination: "inbox/a.txt", overwrite: true }],
  ["filesystem.delete_file", { path: "inbox/a.txt" }],
])("F6 A3 the bytes that %s replaces are referred to by intent and outcome", async (name, params) => {
  using b = bench();
  b.file("inbox/a.txt", "old");
  b.file("inbox/b.txt", "other");
  const { inspection, performed } = await b.do(name, params);
  expect(blobsOf("effect.intended", { params, before: inspection.before })).toEqual([hashOf("old")]);
  const { undo } = performed;
  expect(blobsOf("effect.completed", { result: { kind: "inline", value: null }, undo })).toEqual([
    hashOf("old"),
  ]);
  await b.undo(performed);
});

test("F6 A3 what is only created refers to nothing", async () => {
  using b = bench();
  const { inspection, performed } = await b.do("filesystem.write_file", {
    path: "inbox/a.txt",
    content: "x",
  });
  expect(blobsOf("effect.intended", { params: {}, before: inspection.before })).toEqual([]);
  expect(blobsOf("effect.completed", { result: null, undo: performed.undo })).toEqual([]);
});

test("F6 A3 the list of a deleted folder is referred to, and so is the plan of unpacking", async () => {
  using b = bench();
  b.file("inbox/folder/a.txt", "old");
  await b.do("filesystem.create_archive", { source: "inbox/folder", destination: "approved/a.zip" });
  for (const [name, params] of [
    ["filesystem.delete_file", { path: "inbox/folder", recursive: true }],
    ["filesystem.extract_archive", { source: "approved/a.zip", destination: "inbox/out" }],
  ] as const) {
    const { inspection, performed } = await b.do(name, params);
    const [before, ...others] = blobsOf("effect.intended", { params, before: inspection.before });
    expect(others).toEqual([]);
    expect(blobsOf("effect.completed", { result: null, undo: performed.undo })).toEqual([before]);
    await b.undo(performed);
  }
});

test("F15 what a crash left of an unpacking is taken back, so that it can be done as a whole", async () => {
  using b = bench();
  b.file("inbox/folder/a.txt", "first");
  b.file("inbox/folder/b.txt", "second");
  b.file("out/kept.txt", "ours");
  await b.do("filesystem.create_archive", { source: "inbox/folder", destination: "a.zip" });
  const params = { source: "a.zip", destination: "out" };
  const capability = find(b.modules, "filesystem.extract_archive");
  const first = b.context();
  const inspection = await inspectWith(capability, params, first);
  const context = { ...first, before: inspection.before };
  // As far as a killed process got.
  b.file("out/folder/a.txt", "first");
  expect(await resolveWith(capability, params, context)).toEqual({ kind: "not-done" });
  expect(existsSync(join(b.root, "out/folder"))).toBe(false);
  expect(readFileSync(join(b.root, "out/kept.txt"), "utf8")).toBe("ours");
  // Nothing stands in the way: what would be done is what was to be done.
  expect((await inspectWith(capability, params, first)).targets).toEqual(inspection.targets);
  await capability.perform(params, context);
  expect(readFileSync(join(b.root, "out/folder/b.txt"), "utf8")).toBe("second");
  // What others put there is theirs.
  b.file("out/folder/a.txt", "somebody else");
  expect(await resolveWith(capability, params, context)).toMatchObject({ kind: "unknown" });
});
