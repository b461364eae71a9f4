import { expect, test } from "vitest";
import { createHash } from "node:crypto";
import { encodeCbor } from "@writ/core/cbor";
import { runId } from "@writ/core/ids";
import { decodeRunExport, encodeRunExport, isRunExport, verifyRunExport } from "@writ/core/run-export";

const hasher = { sha256: (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest()) };
const empty = {
  run: runId("r_0123456789"),
  checkpoint: "",
  entries: [],
  envelope: null,
  program: new Uint8Array([1]),
  blobs: [],
};

test("Y5 a file decodes to what was encoded, and anything beside it is refused", () => {
  const bytes = encodeRunExport(empty);
  expect(isRunExport(bytes)).toBe(true);
  expect(decodeRunExport(bytes)).toEqual(empty);
  const more = encodeCbor({ magic: "writ.run-export", v: 1, ...empty, entries: [], blobs: [], more: 1 });
  expect(() => decodeRunExport(more)).toThrow(expect.objectContaining({ code: "export.malformed" }));
  for (const junk of [new Uint8Array(0), new Uint8Array([0xff]), encodeCbor({ magic: "other" })]) {
    expect(isRunExport(junk)).toBe(false);
    expect(verifyRunExport(junk, { hasher, verify: () => true }).bad).toContain(
      "Cannot read the exported run",
    );
  }
});

test("Y1 a file without the ledger's first entry shows nothing, whatever its signatures", () => {
  const report = verifyRunExport(encodeRunExport(empty), { hasher, verify: () => true });
  expect(report.bad).toContain("does not begin with the entry that created the ledger");
});
