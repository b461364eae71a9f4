import { generateKeyPairSync, sign, verify, type KeyObject } from "node:crypto";
import { expect, test } from "vitest";
import { fromUtf8, utf8 } from "@writ/core/bytes";
import { encodeCbor } from "@writ/core/cbor";
import { keyId, type KeyId } from "@writ/core/ids";
import type { KeyRecord, KeyRing, Signer } from "@writ/core/ports";
import type { SignedProgram } from "@writ/core/program";
import {
  decodeEnvelope,
  encodeEnvelope,
  paeBytes,
  programPayloadType,
  signProgram,
  verifySignedProgram,
} from "@writ/core/signature";

interface Identity {
  readonly signer: Signer;
  readonly keys: readonly KeyRecord[];
  readonly publicKeys: ReadonlyMap<string, KeyObject>;
}

function identity(digit: string): Identity {
  const ed25519 = generateKeyPairSync("ed25519");
  const mlDsa65 = generateKeyPairSync("ml-dsa-65");
  const ed25519KeyId = keyId(`k_${digit.repeat(15)}1`);
  const mlDsa65KeyId = keyId(`k_${digit.repeat(15)}2`);
  const raw = (key: KeyObject) => new Uint8Array(key.export({ type: "spki", format: "der" }));
  return {
    signer: {
      ed25519KeyId,
      mlDsa65KeyId,
      sign: (bytes) => [
        {
          keyId: ed25519KeyId,
          algorithm: "ed25519",
          signature: new Uint8Array(sign(null, bytes, ed25519.privateKey)),
        },
        {
          keyId: mlDsa65KeyId,
          algorithm: "ml-dsa-65",
          signature: new Uint8Array(sign(null, bytes, mlDsa65.privateKey)),
        },
      ],
    },
    keys: [
      { id: ed25519KeyId, algorithm: "ed25519", publicKey: raw(ed25519.publicKey), revoked: false },
      { id: mlDsa65KeyId, algorithm: "ml-dsa-65", publicKey: raw(mlDsa65.publicKey), revoked: false },
    ],
    publicKeys: new Map<string, KeyObject>([
      [ed25519KeyId, ed25519.publicKey],
      [mlDsa65KeyId, mlDsa65.publicKey],
    ]),
  };
}

function ring(owner: Identity, revoked: readonly KeyId[] = []): KeyRing {
  return {
    find: (id) => {
      const key = owner.keys.find((record) => record.id === id);
      return key === undefined ? undefined : { ...key, revoked: revoked.includes(key.id) };
    },
    verify: (key, bytes, signature) => verify(null, bytes, owner.publicKeys.get(key.id)!, signature),
  };
}

const owner = identity("a");
const stranger = identity("b");
const payload = utf8("the bytes of a program");
const signed = signProgram(payload, owner.signer);
const accept = (envelope: SignedProgram, keys = ring(owner)) => verifySignedProgram(envelope, keys);
const code = (expected: string) => expect.objectContaining({ code: expected });

test("G1 the pre-authentication encoding is the one of the DSSE specification", () => {
  expect(fromUtf8(paeBytes("http://example.com/HelloWorld", utf8("hello world")))).toBe(
    "DSSEv1 29 http://example.com/HelloWorld 11 hello world",
  );
});

test("G2 a program signed with both algorithms by a known key is accepted", () => {
  expect(() => accept(signed)).not.toThrow();
  expect(() => accept(decodeEnvelope(encodeEnvelope(signed)))).not.toThrow();
});

test("K44 no signature, or an empty one, is refused", () => {
  expect(() => accept({ ...signed, signatures: [] })).toThrow(code("signature.missing"));
  const [first, second] = signed.signatures;
  const empty = { ...second!, signature: new Uint8Array() };
  expect(() => accept({ ...signed, signatures: [first!, empty] })).toThrow(code("signature.missing"));
});

test("G2 one algorithm alone is refused, also when it signs twice", () => {
  for (const signature of signed.signatures) {
    expect(() => accept({ ...signed, signatures: [signature] })).toThrow(code("signature.incomplete"));
    expect(() => accept({ ...signed, signatures: [signature, signature] })).toThrow(
      code("signature.incomplete"),
    );
  }
});

test("K47 a key that is not in the ring is refused, even when it travels with the program", () => {
  expect(() => accept(signProgram(payload, stranger.signer))).toThrow(code("signature.unknown-key"));
  const mixed = [signed.signatures[0]!, signProgram(payload, stranger.signer).signatures[1]!];
  expect(() => accept({ ...signed, signatures: mixed })).toThrow(code("signature.unknown-key"));
  const withKey = encodeCbor({
    payload,
    payloadType: programPayloadType,
    publicKey: stranger.keys[0]!.publicKey,
    signatures: signed.signatures.map((signature) => ({ ...signature })),
  });
  expect(() => decodeEnvelope(withKey)).toThrow(code("program.malformed"));
});

test("G2 a revoked key is refused, whichever of the two it is", () => {
  for (const { id } of owner.keys) {
    expect(() => accept(signed, ring(owner, [id]))).toThrow(code("signature.revoked-key"));
  }
});

test("G1 one changed byte of the payload or of either signature is refused", () => {
  for (let i = 0; i < payload.length; i++) {
    const changed = payload.slice();
    changed[i]! ^= 1;
    expect(() => accept({ ...signed, payload: changed })).toThrow(code("signature.invalid"));
  }
  for (const place of [0, 1]) {
    const signatures = signed.signatures.map((signature, i) => {
      const bytes = signature.signature.slice();
      if (i === place) bytes[7]! ^= 0x80;
      return { ...signature, signature: bytes };
    });
    expect(() => accept({ ...signed, signatures })).toThrow(code("signature.invalid"));
  }
});

test("G2 a signature under a key of the other algorithm, or a third one that does not verify, is refused", () => {
  const [ed25519, mlDsa65] = signed.signatures;
  const swapped = [
    { ...ed25519!, keyId: mlDsa65!.keyId },
    { ...mlDsa65!, keyId: ed25519!.keyId },
  ];
  expect(() => accept({ ...signed, signatures: swapped })).toThrow(code("signature.invalid"));
  const third = { ...ed25519!, signature: new Uint8Array(64) };
  expect(() => accept({ ...signed, signatures: [...signed.signatures, third] })).toThrow(
    code("signature.invalid"),
  );
});

test("K46 no version, type or flag in the envelope disables verification", () => {
  const types = ["application/vnd.writ.program.v0+protobuf", "", "application/json"];
  for (const payloadType of types) {
    const bytes = encodeCbor({ payload, payloadType, signatures: [] });
    expect(() => decodeEnvelope(bytes)).toThrow(code("program.malformed"));
  }
  // What is verified is the type of programs, whatever the object in memory says.
  const typed = { ...signed, payloadType: "application/json" } as unknown as SignedProgram;
  expect(() => accept({ ...typed, signatures: [] })).toThrow(code("signature.missing"));
  const other = owner.signer.sign(paeBytes("application/json", payload));
  expect(() => accept({ ...typed, signatures: other })).toThrow(code("signature.invalid"));
});

test("K45 the envelope has one form: anything else is malformed", () => {
  const bytes = encodeEnvelope(signed);
  for (const wrong of [
    new Uint8Array(),
    utf8(JSON.stringify({ payload: "", payloadType: programPayloadType, signatures: [] })),
    Uint8Array.from([...bytes, 0]),
    bytes.slice(0, -1),
    encodeCbor([]),
    encodeCbor({ payload: "text", payloadType: programPayloadType, signatures: [] }),
    encodeCbor({ payload, payloadType: programPayloadType, signatures: "none" }),
    encodeCbor({
      payload,
      payloadType: programPayloadType,
      signatures: [{ keyId: "k", algorithm: "rsa", signature: payload }],
    }),
    encodeCbor({
      payload,
      payloadType: programPayloadType,
      signatures: [{ keyId: 1, algorithm: "ed25519", signature: payload }],
    }),
    encodeCbor({
      payload,
      payloadType: programPayloadType,
      signatures: [{ keyId: "k", algorithm: "ed25519", signature: "x" }],
    }),
  ]) {
    expect(() => decodeEnvelope(wrong)).toThrow(code("program.malformed"));
  }
});
