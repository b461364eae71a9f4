// The function behind each route.
import type { Projections } from "@writ/store/projections";
import type { CompileRoad } from "./compile.ts";
import { approvalHandlers } from "./handlers/approvals.ts";
import { capabilityHandlers } from "./handlers/capabilities.ts";
import { countdownHandlers } from "./handlers/countdowns.ts";
import { emergencyHandlers } from "./handlers/emergencies.ts";
import { ledgerHandlers } from "./handlers/ledger.ts";
import { controlHandlers } from "./handlers/control.ts";
import { memoryHandlers } from "./handlers/memory.ts";
import { peopleHandlers } from "./handlers/people.ts";
import { planHandlers } from "./handlers/plans.ts";
import { programHandlers } from "./handlers/programs.ts";
import { runHandlers } from "./handlers/runs.ts";
import { timeTravelHandlers } from "./handlers/time-travel.ts";
import { workspaceHandlers } from "./handlers/workspaces.ts";
import { webhookHandlers } from "./handlers/webhooks.ts";
import type { Handlers } from "./http/app.ts";
import type { NodeContext } from "./node/context.ts";
import type { ExportParts } from "./node/run-export.ts";
import type { Webhooks } from "./node/webhooks.ts";
import type { RunWatch } from "./node/run-watch.ts";
import type { Upkeep } from "./node/upkeep.ts";

export interface HandlerParts {
  readonly webhooks: Webhooks;
  readonly node: NodeContext;
  readonly road: CompileRoad;
  readonly watch: RunWatch;
  readonly projections: Projections;
  readonly upkeep: Upkeep;
  readonly prove: ExportParts["prove"];
}

export function createHandlers({
  node,
  road,
  watch,
  projections,
  upkeep,
  prove,
  webhooks,
}: HandlerParts): Handlers {
  const { inOrder } = node;
  return {
    ...peopleHandlers(node, inOrder),
    ...workspaceHandlers(node, inOrder),
    ...capabilityHandlers(node, inOrder),
    ...programHandlers(node, road, projections),
    ...webhookHandlers(node, webhooks, inOrder),
    ...runHandlers(node, { projections, watch }),
    ...controlHandlers(node),
    ...timeTravelHandlers(node, { nodeEntries: () => projections.nodeEntries(), prove }),
    ...planHandlers(node, road, watch),
    ...approvalHandlers(node),
    ...countdownHandlers(node),
    ...emergencyHandlers(node),
    ...memoryHandlers(node, projections.memory, inOrder),
    ...ledgerHandlers(node, { projections, upkeep }),
  };
}
