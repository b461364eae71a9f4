import { faultsOf } from "./fault.ts";

export const coreFaults = {
  "core.invalid-id": { kind: "rejected", remedy: "Use an id of the documented form." },
  "core.invalid-value": {
    kind: "rejected",
    remedy:
      "Use JSON values: null, true, false, text, numbers, lists and objects, within the documented depth.",
  },
  "core.schema-mismatch": { kind: "rejected", remedy: "Correct the named fields and send the data again." },
  "core.schema-unsupported": {
    kind: "rejected",
    remedy:
      "Stay in the JSON Schema subset listed in `core/schema`: closed objects, bounded texts and lists.",
  },
  "core.cbor-invalid": { kind: "rejected", remedy: "Send deterministic CBOR (RFC 8949, section 4.2)." },
  "workspace.file": { kind: "rejected", remedy: "Correct workspace.json at the named place." },
  "expression.syntax": { kind: "rejected", remedy: "Correct the CEL expression at the named place." },
  "expression.unsupported": {
    kind: "rejected",
    remedy: "Use only the operators and functions listed in `docs/expressions.md`.",
  },
  "expression.type": { kind: "rejected", remedy: "Convert the value, or compare values of one type." },
  "expression.unknown-name": { kind: "rejected", remedy: "Use one of the names listed in the facts." },
  "expression.missing-field": {
    kind: "rejected",
    remedy: "Use one of the fields listed in the facts, or guard with has().",
  },
  "expression.range": {
    kind: "rejected",
    remedy: "Keep numbers, lists and texts within the documented limits.",
  },
  "program.malformed": {
    kind: "rejected",
    remedy: "Compile the rule or plan again; never edit a compiled program.",
  },
  "program.version": { kind: "rejected", remedy: "Compile the rule again with this version of Writ." },
  "program.invalid": {
    kind: "rejected",
    remedy: "Compile the rule or plan again; a program written by hand must keep the rules the facts name.",
  },
  "certificate.malformed": {
    kind: "rejected",
    remedy: "Have the program proven again; never edit a certificate.",
  },
  "signature.missing": {
    kind: "rejected",
    remedy: "Have the program approved and signed before deploying it.",
  },
  "signature.incomplete": {
    kind: "rejected",
    remedy: "Sign with both Ed25519 and ML-DSA-65; one signature alone is never accepted.",
  },
  "signature.unknown-key": {
    kind: "rejected",
    remedy: "Add the signer's key to the key ring on the machine itself, or sign with a known key.",
  },
  "signature.revoked-key": { kind: "rejected", remedy: "Sign again with a key that has not been revoked." },
  "signature.invalid": {
    kind: "rejected",
    remedy: "Compile, approve and sign the program again: its bytes are not the ones that were signed.",
  },
  "export.malformed": {
    kind: "rejected",
    remedy: "Have the node export the run again; the file is not whole, or was never one.",
  },
  "export.refused": {
    kind: "rejected",
    remedy: "Do not rely on the file: have the node export the run again, and compare what differs.",
  },
} as const;

export const fault = faultsOf(coreFaults);
