import path from "node:path";
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
    .action(
      act(async (context, folder: string) => {
        const root = path.resolve(context.terminal.folder, folder);
        const answer = await context.client.call("addWorkspace", { body: { root } });
        return context.answer(
          answer,
          () =>
            `workspace ${answer.name} at ${answer.root}\nwhat rules may speak of stands in its workspace.json`,
        );
      }),
    );
  workspace
    .command("list")
    .description("the folders this node works in")
    .action(
      act(async (context) => {
        const { workspaces } = await context.client.call("listWorkspaces", {});
        return context.answer(workspaces, () =>
          table(
            ["name", "folder", "profile"],
            workspaces.map(({ name, root, file }) => [name, root, file.profile]),
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
        return context.answer(answer, () => `forgot ${answer.removed}; its files stay`);
      }),
    );
}
