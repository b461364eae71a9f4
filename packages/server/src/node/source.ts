// What is kept beside a program, outside its hash: where it came from, and how it reads.
import { decodeCbor, encodeCbor } from "@writ/core/cbor";
import type { ProgramSource } from "@writ/core/program";
import { parse, Type, type Static } from "@writ/core/schema";
import { parseValue } from "@writ/core/value";

const Source = Type.Object(
  {
    kind: Type.Enum(["rule", "plan", "program"]),
    name: Type.String(),
    text: Type.String(),
    language: Type.Union([Type.Enum(["en", "fr"]), Type.Null()]),
    spans: Type.Record(Type.String(), Type.Tuple([Type.Integer(), Type.Integer()])),
    /** The tree rendered back in both languages; null for what is no sentence. */
    rendered: Type.Union([
      Type.Object({ en: Type.String(), fr: Type.String() }, { additionalProperties: false }),
      Type.Null(),
    ]),
    /** The graph for a terminal. */
    drawing: Type.String(),
  },
  { additionalProperties: false },
);
export type KeptSource = Static<typeof Source>;

export function encodeSource(
  source: ProgramSource,
  rendered: { readonly en: string; readonly fr: string } | null,
  drawing: string,
): Uint8Array {
  return encodeCbor(parseValue({ ...source, rendered, drawing }));
}

/** @throws core.cbor-invalid, core.schema-mismatch */
export function parseSource(bytes: Uint8Array): KeptSource {
  return parse(Source, decodeCbor(bytes), "the source of a program");
}
