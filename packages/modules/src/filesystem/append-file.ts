import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import {
  inspectAppend,
  performAppend,
  predictAppend,
  removeAppendedId,
  resolveAppend,
  type AppendBefore,
} from "./append.ts";
import { fileCapability } from "./file-capability.ts";
import {
  content,
  encoding,
  filePath,
  fileRetries,
  flag,
  sha256Text,
  shownPath,
  sizeBytes,
} from "./params.ts";
import { encodeText } from "./text.ts";

const params = Type.Object(
  {
    path: filePath,
    content,
    encoding,
    /** Begin on a new line and end with one. */
    newline: flag(true),
  },
  { additionalProperties: false },
);

export const appended = Type.Object(
  {
    path: shownPath,
    offset: Type.Integer({ minimum: 0 }),
    sizeBytes,
    sha256: sha256Text,
    created: Type.Boolean(),
  },
  { additionalProperties: false },
);

export const appendFile = fileCapability({
  id: capabilityId("filesystem.append_file@1.0.0"),
  summary: {
    en: "Appends text to a file, creating it if needed",
    fr: "Ajoute du texte à un fichier, créé au besoin",
  },
  params,
  result: appended,
  effect: { kind: "write", undo: removeAppendedId },
  resources: [{ kind: "file", param: "path", does: "append" }],
  crash: "queryable",
  risk: "low",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: {
    en: ["append {content} to {path}"],
    fr: ["ajoute {content} à {path}", "ajouter {content} à {path}"],
  },
  timeoutMs: 60_000,
  resultBytesMax: 8192,
  retryOn: fileRetries,
  inspect(given, context) {
    encodeText(given.content, given.encoding ?? "utf-8", given.path);
    return inspectAppend(given.path, context);
  },
  perform: (given, context) => performAppend(given.path, bytesOf(given), context),
  resolve: (given, context) => resolveAppend(given.path, bytesOf(given), context),
  predict: (given, context) => predictAppend(given.path, bytesOf(given), context),
});

function bytesOf(given: {
  readonly path: string;
  readonly content: string;
  readonly encoding?: string;
  readonly newline?: boolean;
}) {
  return (before: AppendBefore) => {
    const isLines = given.newline ?? true;
    const start = isLines && before.isLineOpen ? "\n" : "";
    const end = isLines && !given.content.endsWith("\n") ? "\n" : "";
    return encodeText(start + given.content + end, given.encoding ?? "utf-8", given.path);
  };
}
