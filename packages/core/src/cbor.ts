// Deterministic CBOR (RFC 8949, section 4.2): one value, one sequence of bytes. Everything hashed or signed except programs is in this form.
//   B1  Shortest heads; definite lengths; map keys are texts in bytewise order of their encodings, each once.
//   B2  A number that is a safe integer is a CBOR integer; any other is the shortest of f16, f32, f64 that holds it exactly.
//       NaN and infinities are refused; -0 is 0.
//   B3  A decimal is tag 4 [exponent, mantissa] in normal form: no trailing zero in the mantissa, zero is [0, 0].
//   B4  A property that is undefined is not written; undefined anywhere else is refused.
//   B5  The decoder refuses every byte sequence that the encoder would not have written.
import { readItem } from "./cbor/reader.ts";
import { cborWriter } from "./cbor/writer.ts";
import type { Value } from "./value.ts";

export { cborDepthMax } from "./cbor/form.ts";

/** @throws core.invalid-value for NaN, infinities, texts with lone surrogates, objects that are no plain maps, and too deep nesting */
export function encodeCbor(value: Value): Uint8Array {
  shared.reset();
  shared.value(value);
  return shared.finish();
}

/** @throws core.cbor-invalid when the bytes are not the deterministic encoding of exactly one value */
export function decodeCbor(bytes: Uint8Array): Value {
  return readItem(bytes);
}

// Encoding is synchronous and never re-entered, so that one buffer serves every caller.
const shared = cborWriter();
