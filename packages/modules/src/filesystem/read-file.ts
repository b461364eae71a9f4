import type { CallContext, Inspection } from "@writ/core/capability";
import { capabilityId, sha256 } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { createHash } from "node:crypto";
import { fileCapability } from "./file-capability.ts";
import { fault } from "../faults.ts";
import { readBytesMax, sampleBytes } from "../limits.ts";
import { chunksOf, contentOf, openFile } from "./files.ts";
import { encoding, filePath, sha256Text, shownPath, sizeBytes } from "./params.ts";
import { fileTarget, placeToRead } from "./place.ts";
import { assertEncoding, bomOf, decodingOf, guessEncoding, isUtf8, NotText } from "./text.ts";

export const readFile = fileCapability({
  id: capabilityId("filesystem.read_file@1.0.0"),
  summary: {
    en: "Reads a text file, or some of its lines",
    fr: "Lit un fichier texte, ou certaines de ses lignes",
  },
  params: Type.Object(
    {
      path: filePath,
      encoding,
      start_line: Type.Optional(Type.Integer({ minimum: 1 })),
      end_line: Type.Optional(Type.Integer({ minimum: 1 })),
      max_bytes: Type.Optional(Type.Integer({ minimum: 1, maximum: readBytesMax })),
    },
    { additionalProperties: false },
  ),
  result: Type.Object(
    {
      path: shownPath,
      content: Type.String({ maxLength: readBytesMax }),
      encoding: Type.String({ maxLength: 64 }),
      lineCount: Type.Integer({ minimum: 0 }),
      sizeBytes,
      sha256: sha256Text,
      truncated: Type.Boolean(),
    },
    { additionalProperties: false },
  ),
  effect: { kind: "read" },
  resources: [{ kind: "file", param: "path", does: "read" }],
  crash: "idempotent",
  risk: "low",
  criticality: "safe",
  permission: "filesystem.read",
  labels: ["origin:file"],
  phrases: {
    en: ["read text of {path}", "read file {path}"],
    fr: ["lis texte de {path}", "lire texte de {path}", "lis fichier {path}", "lire fichier {path}"],
  },
  timeoutMs: 120_000,
  resultBytesMax: readBytesMax * 3,
  retryOn: ["filesystem.too-many-open"],
  inspect: ({ path }, context) => inspectRead(path, context),
  async perform(params, context) {
    using spot = placeToRead(params.path, context);
    await using handle = await openFile(spot);
    const name = params.encoding ?? "utf-8";
    assertEncoding(name);
    const text = textWindow(params, name);
    const hash = createHash("sha256");
    let size = 0;
    let sample = Buffer.alloc(0);
    try {
      // Read to the end also when only some lines are wanted: the hash names what was read from.
      for await (const chunk of chunksOf(handle, context.signal)) {
        if (sample.length < sampleBytes) sample = Buffer.concat([sample, chunk]);
        if (size === 0 && isUtf8(name) && bomOf(chunk)?.startsWith("utf-16") === true)
          throw new NotText("UTF-16");
        hash.update(chunk);
        size += chunk.length;
        text.write(chunk);
      }
      text.end();
    } catch (error) {
      if (!(error instanceof NotText)) throw error;
      const guess = guessEncoding(sample);
      throw fault(
        "filesystem.not-text",
        `Cannot read \`${spot.relative}\` as ${name}: it is not ${name} text`,
        {
          path: spot.relative,
          encoding: name,
          guess,
        },
      );
    }
    if (text.isOver() && params.max_bytes === undefined) {
      throw fault("filesystem.too-large", `Cannot read \`${spot.relative}\` at once: ${size} bytes`, {
        path: spot.relative,
        sizeBytes: size,
        sizeBytesMax: readBytesMax,
      });
    }
    return {
      result: {
        path: spot.relative,
        content: text.content(),
        encoding: name,
        lineCount: text.lineCount(),
        sizeBytes: size,
        sha256: sha256(hash.digest("hex")),
        truncated: text.isOver(),
      },
      undo: null,
      evidence: "observed",
    };
  },
});

/** Target and state of a read: the hash of the file as it is. */
export async function inspectRead(path: string, context: CallContext): Promise<Inspection> {
  using spot = placeToRead(path, context);
  const found = await contentOf(spot, context.signal);
  return { targets: [fileTarget(spot, "read", found.sha256)], before: {} };
}

/** Collects the wanted lines up to a size, in constant memory beyond that. */
function textWindow(
  wanted: { readonly start_line?: number; readonly end_line?: number; readonly max_bytes?: number },
  encodingName: string,
) {
  const decoding = decodingOf(encodingName);
  const first = wanted.start_line ?? 1;
  const last = wanted.end_line ?? Infinity;
  const bytesMax = wanted.max_bytes ?? readBytesMax;
  const parts: string[] = [];
  let bytesKept = 0;
  let lines = 0;
  let isLineOpen = false;
  let isOver = false;
  const keep = (text: string) => {
    if (isOver || text === "") return;
    const kept = fitting(text, bytesMax - bytesKept);
    if (kept.length < text.length) isOver = true;
    parts.push(kept);
    bytesKept += Buffer.byteLength(kept);
  };
  const take = (text: string) => {
    for (let start = 0; start < text.length;) {
      const end = text.indexOf("\n", start) + 1 || text.length;
      if (!isLineOpen) lines++;
      isLineOpen = text[end - 1] !== "\n";
      if (lines >= first && lines <= last) keep(text.slice(start, end));
      start = end;
    }
  };
  return {
    write: (bytes: Uint8Array) => take(decoding.write(bytes)),
    end: () => take(decoding.end()),
    content: () => parts.join(""),
    lineCount: () => lines,
    isOver: () => isOver,
  };
}

/** The longest beginning of a text that fits into so many bytes of UTF-8, whole characters only. */
function fitting(text: string, bytesMax: number): string {
  if (Buffer.byteLength(text) <= bytesMax) return text;
  const cut = Buffer.from(text, "utf8").subarray(0, bytesMax);
  return new TextDecoder("utf-8").decode(cut, { stream: true });
}
