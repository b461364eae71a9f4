// What a program keeps of the workspace and of its event's form.
import type { SourceDefinition } from "@writ/core/capability";
import type { FrozenWorkspace } from "@writ/core/program";
import type { Schema } from "@writ/core/schema";
import type { Binding } from "./state.ts";

/** What the slot `event` holds. */
export function eventSchema(source: SourceDefinition | null): Schema {
  const text = { type: "string", maxLength: 4096 };
  return {
    type: "object",
    properties: {
      id: text,
      type: text,
      source: text,
      time: text,
      data: source?.event ?? { type: "object", properties: {}, additionalProperties: false },
    },
    required: ["id", "type", "source", "time", "data"],
    additionalProperties: false,
  };
}

export function freeze(binding: Binding): FrozenWorkspace {
  const { workspace } = binding.catalog;
  const { used } = binding;
  const places = (
    names: ReadonlySet<string>,
    all: Readonly<Record<string, { readonly path: string; readonly access?: "read" | "write" }>>,
  ): FrozenWorkspace["folders"] =>
    [...names].sort().flatMap((key) => {
      const place = all[key];
      return place === undefined ? [] : [{ name: key, path: place.path, access: place.access ?? "write" }];
    });
  return {
    name: workspace.name,
    zone: workspace.zone,
    profile: workspace.profile,
    folders: places(used.folders, workspace.folders),
    files: places(used.files, workspace.files),
    roles: [...used.roles].sort(),
    columns: [...used.columns.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([, { folder, column }]) => {
        const declared = workspace.tables[folder]?.columns[column];
        if (declared === undefined) return [];
        const { type, currency, unit, min = null, max = null } = declared;
        return [{ folder, column, type, dimension: currency ?? unit ?? null, min, max }];
      }),
    hosts: workspace.hosts
      .filter(({ host }) => used.hosts.has(host))
      .map(({ host, scheme, risk, idempotent = false }) => ({ host, scheme, risk, idempotent }))
      .sort((a, b) => (a.host < b.host ? -1 : 1)),
  };
}
