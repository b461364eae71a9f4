// The policies that ship, and those the owner adds in the data folder's `policies`.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { readPolicy, type PolicyFile, type UncheckedPolicy } from "./policy.ts";

const shipped = fileURLToPath(new URL("../policies/", import.meta.url));

/** The policies as they stand in the files, not checked yet. */
export function loadPolicy(ownFolder: string | null): UncheckedPolicy {
  const own =
    ownFolder === null ? [] : policyFiles(ownFolder).map(({ name, text }) => ({ name: `own/${name}`, text }));
  return readPolicy(
    [...policyFiles(shipped), ...own],
    readFileSync(path.join(shipped, "writ.cedarschema"), "utf8"),
  );
}

function policyFiles(folder: string): readonly PolicyFile[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(".cedar"))
    .sort()
    .map((name) => ({ name, text: readFileSync(path.join(folder, name), "utf8") }));
}
