// Columns: what the workspace file says of the tables in a folder, and which heading of a file a name means.
import type { WorkspaceContext } from "@writ/core/capability";
import type { WorkspaceColumn } from "@writ/core/workspace";
import { fault } from "../faults.ts";
import { closest, fold } from "./closest.ts";

/** The declared column of that name (or alias) for tables in the file's folder, or null. */
export function declaredColumn(
  path: string,
  name: string,
  workspace: WorkspaceContext,
): DeclaredColumn | null {
  const { folders, tables } = workspace.file;
  const candidates = Object.entries(folders)
    .map(([folder, place]) => ({
      folder,
      path: place.path.replace(/^(\.\/)+|\/+$/g, "").replace(/^\.$/, ""),
    }))
    .filter((place) => place.path === "" || path.startsWith(`${place.path}/`))
    .toSorted((a, b) => b.path.length - a.path.length);
  for (const { folder } of candidates) {
    if (!Object.hasOwn(tables, folder)) continue;
    for (const [heading, column] of Object.entries(tables[folder]?.columns ?? {})) {
      const names = [heading, ...(column.aliases ?? [])];
      if (names.some((other) => fold(other) === fold(name))) return { names, column };
    }
    return null;
  }
  return null;
}

export interface DeclaredColumn {
  readonly names: readonly string[];
  readonly column: WorkspaceColumn;
}

/** Index of the heading that is meant. @throws csv.column-missing, csv.column-ambiguous */
export function columnIndex(
  headings: readonly string[],
  wanted: { readonly name: string; readonly declared: DeclaredColumn | null; readonly path: string },
): number {
  const { name, path } = wanted;
  const exact = indexesOf(headings, (heading) => heading === name);
  const folded = indexesOf(headings, (heading) => fold(heading) === fold(name));
  const aliases = (wanted.declared?.names ?? []).map(fold);
  const aliased = indexesOf(headings, (heading) => aliases.includes(fold(heading)));
  const found = exact.length > 0 ? exact : folded.length > 0 ? folded : aliased;
  const [index] = found;
  if (index === undefined) {
    const near = closest(name, headings);
    const shown = headings.slice(0, 20).map((heading) => `\`${heading.slice(0, 60)}\``);
    throw fault(
      "csv.column-missing",
      `Cannot find the column \`${name}\` in \`${path}\`: it has ${shown.join(", ")}${near === null ? "" : `; did you mean \`${near}\``}`,
      { path, column: name, columns: headings, closest: near },
    );
  }
  if (found.length > 1) {
    throw fault("csv.column-ambiguous", `Cannot tell which column of \`${path}\` is \`${name}\``, {
      path,
      column: name,
      columns: found.map((each) => headings[each]),
    });
  }
  return index;
}

function indexesOf(headings: readonly string[], matches: (heading: string) => boolean): readonly number[] {
  return headings.flatMap((heading, index) => (matches(heading) ? [index] : []));
}
