// Renders every package's fault table into docs/faults.md, and the routes into docs/http-api.md: `npm run faults`.
import { existsSync, globSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { FaultTable } from "@writ/core/fault";
import { writeApi } from "./render-api.ts";

const root = path.dirname(import.meta.dirname);
const target = path.join(root, "docs", "faults.md");

const head = `# Faults

Every failure has a code that never changes its meaning, a kind and a remedy. Over HTTP it is a problem (RFC 9457) whose \`code\` is the
code below; the \`writ\` command prints code, message, facts and remedy on standard error.

- **rejected**: the request or the input must change.
- **transient**: trying again may help; Writ does so by itself within the limits a program declares.
- **broken**: stop; a person must look.

This page is generated (\`npm run faults\`).
`;

/** The page as it should be. */
export async function renderFaults(): Promise<string> {
  const sections: string[] = [];
  for (const { area, table } of await faultTables()) {
    const rows = Object.entries(table)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([code, { kind, remedy }]) => `| \`${code}\` | ${kind} | ${remedy.replaceAll("|", "\\|")} |`);
    sections.push(`\n## ${area}\n\n| code | kind | remedy |\n| --- | --- | --- |\n${rows.join("\n")}\n`);
  }
  return head + sections.join("");
}

/** All tables, by the package (and folder in it) they stand in. */
export async function faultTables(): Promise<
  readonly { readonly area: string; readonly table: FaultTable }[]
> {
  const files = globSync("packages/*/src/**/faults.ts", { cwd: root }).toSorted();
  const tables: { area: string; table: FaultTable }[] = [];
  for (const file of files) {
    const exported: Record<string, unknown> = await import(pathToFileURL(path.join(root, file)).href);
    const area = file
      .replace(/^packages\//, "")
      .replace(/\/src\//, "/")
      .replace(/\/faults\.ts$/, "");
    for (const [name, table] of Object.entries(exported)) {
      if (name.endsWith("Faults")) tables.push({ area, table: table as FaultTable });
    }
  }
  return tables;
}

if (import.meta.main) {
  if (!existsSync(path.dirname(target))) throw new Error(`no folder ${path.dirname(target)}`);
  writeFileSync(target, await renderFaults());
  writeApi();
}
