// The vocabulary of each workspace, and the grammars built from it: kept as long as the workspace file and the revocations stay.
import type { Catalog } from "@writ/core/capability";
import { ruleCompiler, type RuleCompiler } from "@writ/compiler/rule";
import { revocationOf, type RegisteredWorkspace } from "@writ/runtime/registry";
import { workspaceFileOf } from "../handlers/workspaces.ts";
import type { NodeContext } from "./context.ts";

export interface WorkspaceCatalog {
  readonly catalog: Catalog;
  readonly rules: RuleCompiler;
}

export interface Catalogs {
  of(workspace: RegisteredWorkspace): Promise<WorkspaceCatalog>;
}

export function createCatalogs(node: NodeContext): Catalogs {
  const known = new Map<
    string,
    { readonly file: unknown; readonly revoked: unknown; readonly made: WorkspaceCatalog }
  >();
  return {
    async of(workspace) {
      const registry = node.registry();
      const revoked = registry.revokedCapabilities;
      const before = known.get(workspace.name);
      if (before?.file === workspace.file && before.revoked === revoked) return before.made;
      const catalog: Catalog = {
        capabilities: node.modules.all().filter(({ id }) => revocationOf(registry, id) === undefined),
        sources: node.modules.sources().map(({ definition }) => definition),
        workspace: await workspaceFileOf(node, workspace),
      };
      const made = { catalog, rules: ruleCompiler(catalog) };
      known.set(workspace.name, { file: workspace.file, revoked, made });
      return made;
    },
  };
}
