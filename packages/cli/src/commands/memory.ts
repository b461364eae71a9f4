import type { RememberedSummary } from "@writ/core/api";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import { table, time } from "../render/layout.ts";
import type { Act } from "../run.ts";
import { workspaceOf } from "./webhooks.ts";

interface Whose {
  readonly workspace?: string;
  readonly program?: string;
}

export function addMemoryCommands(program: Command, act: Act): void {
  const memory = program.command("memory").description("what programs remember: list, show, forget");
  const whose = (command: Command): Command =>
    command
      .option("--workspace <name>", "shared by the programs of this workspace; the only workspace otherwise")
      .option("--program <hash>", "remembered by this version of a program for itself");
  whose(memory.command("list"))
    .description("keys, where their values come from and who remembered them")
    .option("--after <key>", "the keys after this one")
    .action(
      act(async (context, options: Whose & { readonly after?: string }) => {
        const { after } = options;
        const query = { ...(await ownerOf(context, options)), ...(after === undefined ? {} : { after }) };
        const { remembered } = await context.client.call("listMemory", { query });
        return context.answer(remembered, renderMemory);
      }),
    );
  whose(memory.command("show <key>"))
    .description("the value under a key")
    .action(
      act(async (context, key: string, options: Whose) => {
        const query = { ...(await ownerOf(context, options)), key };
        const answer = await context.client.call("showMemory", { query });
        return context.answer(answer, (shown) =>
          [
            renderMemory([shown]),
            shown.isSecret ? "the value is secret and is not shown" : JSON.stringify(shown.value, null, 2),
          ].join("\n"),
        );
      }),
    );
  whose(memory.command("forget <key>"))
    .description("forget the value under a key; the entry says who and why")
    .requiredOption("--reason <text>", "kept in the ledger")
    .addHelpText("after", '\nExample:\n  writ memory forget last_total --reason "wrong month"')
    .action(
      act(async (context, key: string, options: Whose & { readonly reason: string }) => {
        const body = { ...(await ownerOf(context, options)), key, reason: options.reason };
        const answer = await context.client.call("forgetMemory", { body });
        return context.answer(answer, ({ forgotten }) => `forgot ${forgotten}`);
      }),
    );
}

async function ownerOf(
  context: Context,
  { workspace, program }: Whose,
): Promise<Pick<RememberedSummary, "scope" | "owner">> {
  if (program !== undefined) return { scope: "program", owner: program };
  return { scope: "workspace", owner: await workspaceOf(context, workspace) };
}

function renderMemory(remembered: readonly RememberedSummary[]): string {
  if (remembered.length === 0) return "nothing is remembered";
  return table(
    ["key", "bytes", "comes from", "run", "since"],
    remembered.map(({ key, sizeBytes, labels, run, atMs }) => [
      key,
      String(sizeBytes),
      labels.length === 0 ? "the program" : labels.join(", "),
      run,
      time(atMs),
    ]),
  );
}
