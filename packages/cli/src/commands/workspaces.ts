import path from "node:path";
import type { AddedWorkspace } from "@writ/core/api";
import type { Command } from "commander";
import { table } from "../render/layout.ts";
import type { Act } from "../run.ts";

export function addWorkspaceCommands(program: Command, act: Act): void {
  program.commandsGroup("Workspaces:");
  const workspace = program
    .command("workspace")
    .description("folders that may be touched: add, list, remove");
  workspace
    .command("add <folder>")
    .description("add a folder of the node's machine, or read its workspace.json again")
    .option("--confirm", "accept a changed workspace.json that lets programs do more")
    .action(
      act(async (context, folder: string, options: { readonly confirm?: true }) => {
        const root = path.resolve(context.terminal.folder, folder);
        const answer = await context.client.call("addWorkspace", { body: { root, ...options } });
        return context.answer(answer, said);
      }),
    );
  workspace
    .command("list")
    .description("the folders this node works in")
    .action(
      act(async (context) => {
        const { workspaces } = await context.client.call("listWorkspaces", {});
        return context.answer(workspaces, (shown) =>
          table(
            ["name", "folder", "profile"],
            shown.map(({ name, root, file }) => [name, root, file.profile]),
          ),
        );
      }),
    );
  workspace
    .command("remove <name>")
    .description("forget a workspace that no deployed program uses; its files stay")
    .action(
      act(async (context, id: string) => {
        const answer = await context.client.call("removeWorkspace", { params: { id } });
        return context.answer(answer, ({ removed }) => `forgot ${removed}; its files stay`);
      }),
    );
}

/** What the node did, line by line. */
function said({ name, root, changes, created }: AddedWorkspace): string {
  return [
    `workspace ${name} at ${root}`,
    ...(created.length === 0 ? [] : [`made in it: ${created.join(", ")}`]),
    ...changes.map((change) => `changed: ${change}`),
    "what rules may speak of stands in its workspace.json",
  ].join("\n");
}
