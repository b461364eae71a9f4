import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { toHex } from "@writ/core/bytes";
import { decodeEntry, encodeEntry, readEnvelope, recordable, type EntryPlace } from "@writ/core/entry-codec";
import type { EntryDraft } from "@writ/core/entry";
import { nodeId, runId, sha256, stepId } from "@writ/core/ids";
import { decimal } from "@writ/core/value";

const blob = sha256("cd".repeat(32));
const draft: EntryDraft<"effect.completed"> = {
  kind: "effect.completed",
  run: runId("r_0123456789"),
  cause: "e_1",
  actor: { kind: "node" },
  atMs: 1_795_000_000_000,
  facts: {
    step: stepId("read"),
    attempt: 1,
    result: { kind: "inline", value: { sum: decimal("10000.01"), rows: 12, raw: new Uint8Array([1, 2]) } },
    labels: ["origin:file"],
    undo: null,
    evidence: "observed",
    resolved: false,
  },
};
const place: EntryPlace = {
  node: nodeId("n_0123456789"),
  epoch: 3,
  seq: 41,
  previousHash: new Uint8Array(32).fill(7),
  runPrevious: new Uint8Array(32).fill(9),
};

function hashOf(bytes: Uint8Array): ReturnType<typeof sha256> {
  return sha256(createHash("sha256").update(bytes).digest("hex"));
}

describe("entries as bytes", () => {
  test("N1 the bytes of format 1 never change", () => {
    // Golden: a change here breaks every ledger that exists.
    expect(hashOf(encodeEntry(draft, place))).toBe(
      "692a454a8961821414d2a61f446930e102a8efd99854ec6fb601e3952a51018b",
    );
  });

  test("N1 N2 an entry comes back as it was appended", () => {
    const bytes = encodeEntry(draft, place);
    const entry = decodeEntry(bytes, hashOf(bytes));
    expect(entry).toEqual({
      ...draft,
      v: 1,
      node: place.node,
      epoch: 3,
      seq: 41,
      previousHash: "07".repeat(32),
      runPrevious: "09".repeat(32),
      hash: hashOf(bytes),
    });
  });

  test("N1 what is null is left out", () => {
    const bytes = encodeEntry(
      {
        kind: "node.started",
        run: null,
        cause: null,
        actor: { kind: "node" },
        atMs: 1,
        facts: { version: "1" },
      },
      { ...place, runPrevious: null },
    );
    const text = Buffer.from(bytes).toString("latin1");
    expect(text).not.toContain("run");
    expect(text).not.toContain("cause");
    expect(decodeEntry(bytes, hashOf(bytes))).toMatchObject({ run: null, cause: null, runPrevious: null });
  });

  test("N3 the envelope reader agrees with the decoder, and finds the blobs that facts refer to", () => {
    const stored = { kind: "blob", sha256: blob, sizeBytes: 5000 } as const;
    const bytes = encodeEntry({ ...draft, cause: null, facts: { ...draft.facts, result: stored } }, place);
    expect(readEnvelope(bytes)).toEqual({
      run: draft.run,
      seq: 41,
      kind: "effect.completed",
      node: place.node,
      epoch: 3,
      previousHash: place.previousHash,
      runPrevious: place.runPrevious,
      blobs: [blob],
    });
    const params = { $blob: blob };
    const facts = {
      ...draft.facts,
      undo: { capability: "a.b@1.0.0", params },
    } as unknown as typeof draft.facts;
    expect(readEnvelope(encodeEntry({ ...draft, facts }, place)).blobs).toEqual([blob]);
    expect(readEnvelope(encodeEntry(draft, place)).blobs).toEqual([]);
  });

  const blobsOf = (kind: string, facts: unknown) =>
    readEnvelope(encodeEntry({ ...draft, kind, facts } as unknown as typeof draft, place)).blobs;
  const reference = { $blob: blob };
  const stored = { kind: "blob", sha256: blob, sizeBytes: 1 };

  test("A3 before-images, whole parameters and shown parameters are references", () => {
    const intended = { params: {}, before: { target: { mode: 420, kept: reference } } };
    expect(blobsOf("effect.intended", intended)).toEqual([blob]);
    expect(blobsOf("effect.intended", { params: reference, before: {} })).toEqual([blob]);
    expect(blobsOf("undo.intended", { params: reference, before: {} })).toEqual([blob]);
    const effects = [{ params: { content: { ...reference, sizeBytes: 5000 } } }];
    expect(blobsOf("approval.requested", { effects })).toEqual([blob]);
    expect(blobsOf("run.ended", { result: stored })).toEqual([blob]);
    expect(blobsOf("program.compiled", { bytes: stored, source: { kind: "inline", value: "" } })).toEqual([
      blob,
    ]);
  });

  test("A3 what data says is no reference, whatever it looks like", () => {
    expect(blobsOf("event.received", { event: { data: { a: reference, b: stored } }, cursor: {} })).toEqual(
      [],
    );
    expect(blobsOf("effect.intended", { params: { body: reference, of: stored }, before: {} })).toEqual([]);
    expect(blobsOf("effect.completed", { result: { kind: "inline", value: stored }, undo: null })).toEqual(
      [],
    );
    expect(blobsOf("effect.settled", { result: reference })).toEqual([]);
    expect(blobsOf("approval.requested", { effects: [{ params: { body: reference } }] })).toEqual([]);
  });

  test("N3 no changed byte makes the reader throw anything but a fault, or loop", () => {
    const bytes = encodeEntry(draft, place);
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 0xff;
      for (const read of [readEnvelope, (b: Uint8Array) => decodeEntry(b, blob)]) {
        try {
          read(changed);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^core\./) });
        }
      }
    }
  });
});

describe("faults in entries", () => {
  test("N1 the facts of a fault become values: errors as text, undefined left out", () => {
    const fault = {
      code: "a.b",
      kind: "broken",
      message: "no",
      remedy: "do",
      facts: {
        cause: new Error("inner"),
        gone: undefined,
        big: 5n,
        list: [undefined, Number.NaN],
        nested: new Map(),
      },
    } as const;
    const failed: EntryDraft<"effect.failed"> = {
      ...draft,
      kind: "effect.failed",
      facts: { step: stepId("read"), attempt: 1, fault },
    };
    const clean = recordable(failed);
    expect(clean.facts.fault).toEqual({
      ...fault,
      facts: { cause: "inner", big: "5", list: [null, "NaN"], nested: {} },
    });
    const bytes = encodeEntry(clean, place);
    expect(decodeEntry(bytes, hashOf(bytes)).facts).toEqual(clean.facts);
    expect(toHex(bytes)).not.toBe("");
  });

  test("N1 a draft without a fault is passed on as it is", () => {
    expect(recordable(draft)).toBe(draft);
  });
});
