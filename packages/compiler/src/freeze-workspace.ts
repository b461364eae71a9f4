// What a program keeps of the workspace when it may use any part of it.
import type { FrozenWorkspace } from "@writ/core/program";
import type { WorkspaceFile } from "@writ/core/workspace";

/** The whole workspace: what a program computes may choose any of its places. Sorted, so that equal workspaces freeze equally. */
export function freezeWorkspace(workspace: WorkspaceFile): FrozenWorkspace {
  const byName = <T>(record: Readonly<Record<string, T>>) =>
    Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
  const places = (record: WorkspaceFile["folders"]) =>
    byName(record).map(([name, { path, access }]) => ({ name, path, access: access ?? "write" }) as const);
  return {
    name: workspace.name,
    zone: workspace.zone,
    profile: workspace.profile,
    folders: places(workspace.folders),
    files: places(workspace.files),
    roles: Object.keys(workspace.roles).sort(),
    columns: byName(workspace.tables).flatMap(([folder, { columns }]) =>
      byName(columns).map(([column, { type, currency, unit, min, max }]) => ({
        folder,
        column,
        type,
        dimension: currency ?? unit ?? null,
        min: min ?? null,
        max: max ?? null,
      })),
    ),
    hosts: workspace.hosts
      .map(({ host, scheme, risk, idempotent }) => ({ host, scheme, risk, idempotent: idempotent ?? false }))
      .sort((a, b) => (`${a.host} ${a.scheme}` < `${b.host} ${b.scheme}` ? -1 : 1)),
  };
}
