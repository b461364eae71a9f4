// Webhooks as their owner sees them: made, replaced, listed, removed.
import type { WebhookSummary } from "@writ/core/api";
import type { WebhookRecord } from "@writ/runtime/registry";
import { fault } from "../faults.ts";
import type { Handlers } from "../http/app.ts";
import type { NodeContext, Queue } from "../node/context.ts";
import type { Webhooks } from "../node/webhooks.ts";

export function webhookHandlers(
  node: NodeContext,
  webhooks: Webhooks,
  inOrder: Queue,
): Pick<Handlers, "listWebhooks" | "setWebhookSecret" | "removeWebhook"> {
  return {
    listWebhooks: async () => ({
      webhooks: [...node.registry().webhooks.values()].map((known) => view(known, webhooks)),
    }),
    setWebhookSecret: ({ params, body, caller }) =>
      inOrder(async () => {
        const { workspace, name } = params;
        if (!node.registry().workspaces.has(workspace)) {
          throw fault("workspace.unknown", `Cannot find the workspace \`${workspace}\``, { workspace });
        }
        const keepPreviousMs = body.keepPreviousMs ?? 0;
        const made = await webhooks.setSecret({ workspace, name, keepPreviousMs }, caller.actor);
        return { workspace, name, path: pathOf(workspace, name), ...made };
      }),
    removeWebhook: ({ params, caller }) =>
      inOrder(async () => {
        await webhooks.remove(params.workspace, params.name, caller.actor);
        return { removed: `${params.workspace}/${params.name}` };
      }),
  };
}

function view(known: WebhookRecord, webhooks: Webhooks): WebhookSummary {
  const { workspace, name, secretId, setAtMs, previous } = known;
  return {
    workspace,
    name,
    path: pathOf(workspace, name),
    secretId,
    setAtMs,
    previousUntilMs: previous?.untilMs ?? null,
    isHeard: webhooks.isHeard(workspace, name),
  };
}

function pathOf(workspace: string, name: string): string {
  return `/webhooks/${workspace}/${name}`;
}
