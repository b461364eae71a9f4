import type { WebhookSummary } from "@writ/core/api";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import { fault } from "../faults.ts";
import { table, time } from "../render/layout.ts";
import type { Act } from "../run.ts";

interface CreateOptions {
  readonly workspace?: string;
  readonly keepPrevious?: string;
}

export function addWebhookCommands(program: Command, act: Act): void {
  const webhook = program.command("webhook").description("webhooks: create, list, remove");
  webhook
    .command("create <name>")
    .description("make a webhook, or a new secret for it; the secret is shown once")
    .option("--workspace <name>", "the only workspace otherwise")
    .option("--keep-previous <hours>", "let the old secret sign for so long, at most 168 hours")
    .addHelpText("after", '\nThe rule that listens:\n  When webhook "orders" is called, …')
    .action(act(create));
  webhook
    .command("list")
    .description("webhooks of this node")
    .action(
      act(async (context) => {
        const { webhooks } = await context.client.call("listWebhooks", {});
        return context.answer(webhooks, renderWebhooks);
      }),
    );
  webhook
    .command("remove <name>")
    .description("remove a webhook; its secret is void at once")
    .option("--workspace <name>", "the only workspace otherwise")
    .action(
      act(async (context, name: string, { workspace }: CreateOptions) => {
        const params = { workspace: await workspaceOf(context, workspace), name };
        const answer = await context.client.call("removeWebhook", { params });
        return context.answer(answer, ({ removed }) => `removed ${removed}`);
      }),
    );
}

async function create(
  context: Context,
  name: string,
  { workspace, keepPrevious }: CreateOptions,
): Promise<ExitCode> {
  const params = { workspace: await workspaceOf(context, workspace), name };
  const body = keepPrevious === undefined ? {} : { keepPreviousMs: hoursOf(keepPrevious) };
  const answer = await context.client.call("setWebhookSecret", { params, body });
  return context.answer(
    answer,
    (made) =>
      `${made.path}, secret ${made.secretId}\nsecret, shown this once: ${made.secret}\nsign deliveries as https://www.standardwebhooks.com says`,
  );
}

/** @throws command.hours */
function hoursOf(text: string): number {
  const hours = Number(text);
  if (Number.isFinite(hours) && hours >= 0 && hours <= 168) return Math.round(hours * 3_600_000);
  throw fault("command.hours", `Cannot keep the old secret for \`${text}\` hours`, { hours: text });
}

/** @throws command.workspace when there are several and none is named */
export async function workspaceOf(context: Context, named: string | undefined): Promise<string> {
  if (named !== undefined) return named;
  const { workspaces } = await context.client.call("listWorkspaces", {});
  const [only] = workspaces;
  if (only !== undefined && workspaces.length === 1) return only.name;
  throw fault("command.workspace", "Cannot tell which workspace is meant: name it with `--workspace`", {
    workspaces: workspaces.map(({ name }) => name),
  });
}

function renderWebhooks(webhooks: readonly WebhookSummary[]): string {
  if (webhooks.length === 0) return "no webhooks";
  return table(
    ["path", "secret", "set", "listens"],
    webhooks.map(({ path, secretId, setAtMs, isHeard }) => [
      path,
      secretId,
      time(setAtMs),
      isHeard ? "yes" : "nobody",
    ]),
  );
}
