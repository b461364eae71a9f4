import { createHash, generateKeyPairSync, sign, verify, type KeyObject } from "node:crypto";
import { expect, test } from "vitest";
import { concatBytes, fromHex, toHex } from "@writ/core/bytes";
import { encodeCbor } from "@writ/core/cbor";
import { signCheckpoint } from "@writ/core/checkpoint";
import { encodeEntry } from "@writ/core/entry-codec";
import type { EntryDraft } from "@writ/core/entry";
import { eventId, keyId, nodeId, programHash, runId, sha256 } from "@writ/core/ids";
import { merkleTree } from "@writ/core/merkle";
import { inclusionRanges, rangeHasher, rangeKey } from "@writ/core/merkle-proof";
import type { Signer } from "@writ/core/ports";
import {
  decodeRunExport,
  encodeRunExport,
  isRunExport,
  verifyRunExport,
  type RunExport,
} from "@writ/core/run-export";
import { encodeEnvelope, signProgram } from "@writ/core/signature";

const hasher = { sha256: (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest()) };
const run = runId("r_0123456789");
const keys = { ed25519: generateKeyPairSync("ed25519"), "ml-dsa-65": generateKeyPairSync("ml-dsa-65") };
const rawKey = (key: KeyObject): Uint8Array => {
  const { x, pub } = key.export({ format: "jwk" }) as { readonly x?: string; readonly pub?: string };
  return new Uint8Array(Buffer.from(x ?? pub ?? "", "base64url"));
};
const publicKeys = {
  ed25519: rawKey(keys.ed25519.publicKey),
  "ml-dsa-65": rawKey(keys["ml-dsa-65"].publicKey),
};
const idOf = (key: Uint8Array) => keyId(`k_${toHex(hasher.sha256(key)).slice(0, 32)}`);
const node = nodeId(
  `n_${toHex(hasher.sha256(concatBytes(publicKeys.ed25519, publicKeys["ml-dsa-65"]))).slice(0, 32)}`,
);
const signer: Signer = {
  ed25519KeyId: idOf(publicKeys.ed25519),
  mlDsa65KeyId: idOf(publicKeys["ml-dsa-65"]),
  sign: (bytes) =>
    (["ed25519", "ml-dsa-65"] as const).map((algorithm) => ({
      keyId: idOf(publicKeys[algorithm]),
      algorithm,
      signature: new Uint8Array(sign(null, bytes, keys[algorithm].privateKey)),
    })),
};
const options = {
  hasher,
  verify: (
    { algorithm, publicKey }: { readonly algorithm: "ed25519" | "ml-dsa-65"; readonly publicKey: Uint8Array },
    bytes: Uint8Array,
    signature: Uint8Array,
  ) =>
    toHex(publicKey) === toHex(publicKeys[algorithm]) &&
    verify(null, bytes, keys[algorithm].publicKey, signature),
};

const payload = new Uint8Array([8, 1, 2, 3]);
const blob = new Uint8Array(5000).fill(7);
const blobHash = sha256(toHex(hasher.sha256(blob)));
const base = { cause: null, actor: { kind: "node" }, atMs: 1 } as const;

/** A ledger of a few entries: the node's, another run's between, and the run's three. */
function drafts(): readonly EntryDraft[] {
  const started = (of: typeof run): EntryDraft => ({
    ...base,
    kind: "run.started",
    run: of,
    facts: {
      program: programHash(toHex(hasher.sha256(payload))),
      event: {
        specversion: "1.0",
        id: eventId("e1"),
        source: "/test",
        type: "test",
        time: "2026-01-01T00:00:00Z",
        data: {},
      },
      labels: [],
      priority: "normal",
      principal: { kind: "node" },
      workspace: "w",
    },
  });
  return [
    {
      ...base,
      kind: "ledger.created",
      run: null,
      facts: {
        format: 1,
        node,
        ed25519: toHex(publicKeys.ed25519),
        mlDsa65: toHex(publicKeys["ml-dsa-65"]),
      },
    },
    started(run),
    started(runId("r_9876543210")),
    { ...base, kind: "run.cancel-requested", run, facts: { by: { kind: "node" }, undo: false, reason: "x" } },
    {
      ...base,
      kind: "run.ended",
      run,
      facts: {
        status: "cancelled",
        result: { kind: "blob", sha256: blobHash, sizeBytes: blob.length },
        fault: null,
      },
    },
  ];
}

function makeExport(
  change: Partial<RunExport> = {},
  without: readonly number[] = [],
  made: {
    readonly drafts: readonly EntryDraft[];
    readonly signer: Signer;
    readonly publicKeys: typeof publicKeys;
  } = { drafts: drafts(), signer, publicKeys },
): Uint8Array {
  const tails = new Map<string, Uint8Array>();
  let previousHash: Uint8Array = new Uint8Array(32);
  const entries = made.drafts.map((draft, seq) => {
    const runPrevious = draft.run === null ? null : (tails.get(draft.run) ?? null);
    const bytes = encodeEntry(draft, { node, epoch: 1, seq, previousHash, runPrevious });
    previousHash = hasher.sha256(bytes);
    if (draft.run !== null) tails.set(draft.run, previousHash);
    return { seq, run: draft.run, bytes, hash: previousHash };
  });
  const tree = merkleTree(hasher);
  const size = entries.length;
  const wanted = entries.map(({ seq }) => inclusionRanges(seq, size));
  const ranges = rangeHasher(hasher, size, wanted.flat());
  for (const { hash } of entries) {
    tree.add(hash);
    ranges.add(hash);
  }
  const found = ranges.finish();
  const checkpoint = signCheckpoint(
    { origin: `writ/${node}`, size, root: tree.root() },
    made.signer,
    { ed25519: { publicKey: made.publicKeys.ed25519 }, mlDsa65: { publicKey: made.publicKeys["ml-dsa-65"] } },
    hasher,
  );
  return encodeRunExport({
    run,
    checkpoint,
    entries: entries
      .filter((entry) => (entry.run === null || entry.run === run) && !without.includes(entry.seq))
      .map(({ seq, bytes }) => ({
        bytes,
        proof: (wanted[seq] ?? []).map((range) => found.get(rangeKey(range)) ?? new Uint8Array(0)),
      })),
    programs: [encodeEnvelope(signProgram(payload, signer))],
    blobs: [blob],
    ...change,
  });
}

test("Y1 Y2 Y3 Y4 a whole file shows the node, the run and how it ended", () => {
  const report = verifyRunExport(makeExport(), options);
  expect(report.bad).toBeNull();
  expect(report).toMatchObject({ node, run, status: "cancelled", treeSize: 5, blobsMissing: [] });
});

test("Y1 an entry of another ledger, or without its place, is found", () => {
  const made = decodeRunExport(makeExport());
  const [first, ...rest] = made.entries;
  const moved = rest.map(({ bytes }, i) => ({ bytes, proof: rest[(i + 1) % rest.length]?.proof ?? [] }));
  const report = verifyRunExport(
    encodeRunExport({ ...made, entries: first === undefined ? moved : [first, ...moved] }),
    options,
  );
  expect(report.bad).toContain("does not stand in the ledger that was signed");
  const unsigned = made.checkpoint.split("\n").filter((line) => line !== "");
  const oneSignature = `${unsigned.slice(0, 3).join("\n")}\n\n${unsigned[3]}\n`;
  expect(verifyRunExport(makeExport({ checkpoint: oneSignature }), options).bad).toContain("missing");
});

test("Y1 a tree that somebody else wrote and signed with a key that it brings along is refused", () => {
  // Everything but the first entry is the forger's: an entry that adds their keys, and a run that never was.
  const forger = { ed25519: generateKeyPairSync("ed25519"), "ml-dsa-65": generateKeyPairSync("ml-dsa-65") };
  const forged = {
    ed25519: rawKey(forger.ed25519.publicKey),
    "ml-dsa-65": rawKey(forger["ml-dsa-65"].publicKey),
  };
  const [first, ...rest] = drafts();
  const added = (["ed25519", "ml-dsa-65"] as const).map((algorithm) => ({
    ...base,
    kind: "key.added" as const,
    run: null,
    facts: {
      key: idOf(forged[algorithm]),
      algorithm,
      publicKey: toHex(forged[algorithm]),
      purpose: "checkpoints" as const,
    },
  }));
  if (first === undefined) throw new Error("Invariant broken: a ledger begins with an entry");
  const by: Signer = {
    ed25519KeyId: idOf(forged.ed25519),
    mlDsa65KeyId: idOf(forged["ml-dsa-65"]),
    sign: (bytes) =>
      (["ed25519", "ml-dsa-65"] as const).map((algorithm) => ({
        keyId: idOf(forged[algorithm]),
        algorithm,
        signature: new Uint8Array(sign(null, bytes, forger[algorithm].privateKey)),
      })),
  };
  const file = makeExport({}, [], { drafts: [first, ...added, ...rest], signer: by, publicKeys: forged });
  const report = verifyRunExport(file, {
    hasher,
    verify: ({ algorithm, publicKey }, bytes, signature) => {
      const pair = toHex(publicKey) === toHex(forged[algorithm]) ? forger : keys;
      return verify(null, bytes, pair[algorithm].publicKey, signature);
    },
  });
  expect(report.bad).toContain("by no key that the ledger introduced");
});

test("Y1 a file whose first entry is not the one that created the ledger shows nothing", () => {
  expect(verifyRunExport(makeExport({}, [0]), options).bad).toContain(
    "does not begin with the entry that created",
  );
});

test("Y2 an entry of the run that was left out is missed", () => {
  expect(verifyRunExport(makeExport({}, [3]), options).bad).toContain("missing before entry 4");
  expect(verifyRunExport(makeExport({}, [1]), options).bad).toContain("the run's start is missing");
});

test("Y3 another program, none, one more, or one without both signatures, is refused", () => {
  const bad = (programs: readonly Uint8Array[]) => verifyRunExport(makeExport({ programs }), options).bad;
  const own = encodeEnvelope(signProgram(payload, signer));
  const other = encodeEnvelope(signProgram(new Uint8Array([9]), signer));
  expect(bad([own])).toBeNull();
  expect(bad([other])).toContain("not the one that ran");
  expect(bad([])).toContain("does not hold the programs");
  expect(bad([own, own])).toContain("does not hold the programs");
  const signed = signProgram(payload, signer);
  const half = encodeEnvelope({ ...signed, signatures: signed.signatures.slice(0, 1) });
  expect(bad([half])).toContain("no ml-dsa-65 signature");
});

test("Y4 a blob that is not there is listed, one that nothing names is refused", () => {
  expect(verifyRunExport(makeExport({ blobs: [] }), options).blobsMissing).toEqual([blobHash]);
  expect(verifyRunExport(makeExport({ blobs: [blob, new Uint8Array([1])] }), options).bad).toContain(
    "no entry names the blob",
  );
});

test("Y5 a file decodes to what was encoded, and a byte changed anywhere is found", () => {
  const bytes = makeExport();
  expect(isRunExport(bytes)).toBe(true);
  expect(toHex(encodeRunExport(decodeRunExport(bytes)))).toBe(toHex(bytes));
  for (let at = 0; at < bytes.length; at += 97) {
    const changed = bytes.slice();
    changed[at] = (changed[at] ?? 0) ^ 0x10;
    const report = verifyRunExport(changed, options);
    expect(report.bad !== null || report.blobsMissing.length > 0, `byte ${at}`).toBe(true);
  }
});

test("Y5 what is no exported run is refused by its code", () => {
  const more = encodeCbor({ magic: "writ.run-export", v: 1, run, checkpoint: "", entries: [], more: 1 });
  expect(() => decodeRunExport(more)).toThrow(expect.objectContaining({ code: "export.malformed" }));
  for (const junk of [new Uint8Array(0), fromHex("ff"), encodeCbor({ magic: "other" })]) {
    expect(isRunExport(junk)).toBe(false);
    expect(verifyRunExport(junk, options).bad).toContain("Cannot read the exported run");
  }
});
