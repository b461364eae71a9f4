import { pathLengthMax, textLengthMax } from "@writ/core/limits";
import { Type } from "@writ/core/schema";

export const filePath = Type.String({ minLength: 1, maxLength: pathLengthMax, "x-path": "file" });
export const folderPath = Type.String({ minLength: 1, maxLength: pathLengthMax, "x-path": "folder" });
/** Where a rule names only a folder, the name of parameter `source` is kept. */
export const destinationPath = Type.String({
  minLength: 1,
  maxLength: pathLengthMax,
  "x-path": "file",
  "x-path-name-of": "source",
});
export const content = Type.String({ maxLength: textLengthMax });
export const encoding = Type.Optional(Type.String({ maxLength: 64, default: "utf-8" }));
export const shownPath = Type.String({ maxLength: pathLengthMax });
export const sha256Text = Type.String({ pattern: "^[0-9a-f]{64}$", maxLength: 64 });
export const sizeBytes = Type.Integer({ minimum: 0 });

export function flag(value: boolean) {
  return Type.Optional(Type.Boolean({ default: value }));
}

/** Faults of files that pass by themselves. */
export const fileRetries = [
  "filesystem.changed",
  "filesystem.disk-full",
  "filesystem.too-many-open",
  "filesystem.busy",
];
