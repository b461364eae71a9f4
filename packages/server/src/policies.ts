// The policies that ship, and those the owner adds in the data folder's `policies`.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { openPolicy, type CedarPolicy, type PolicyFile } from "./policy.ts";

const shipped = fileURLToPath(new URL("../policies/", import.meta.url));

/** @throws policy.invalid */
export function loadPolicy(ownFolder: string | null): CedarPolicy {
  const own =
    ownFolder === null ? [] : policyFiles(ownFolder).map(({ name, text }) => ({ name: `own/${name}`, text }));
  return openPolicy(
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
