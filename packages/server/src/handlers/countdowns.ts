// Countdowns: what is announced, and the people who stop it.
//   S81  Whoever has the role, and every operator, cancels; only the role acknowledges; an agent does neither.
import type { Countdown } from "@writ/core/api";
import { hasRole } from "@writ/runtime/registry";
import type { RunningCountdown } from "@writ/runtime/engine";
import { fault } from "../faults.ts";
import type { Handlers, RequestOf } from "../http/app.ts";
import type { NodeContext } from "../node/context.ts";
import { actorText } from "../views/entry.ts";
import { apiEffect } from "../views/effect.ts";
import { namesOf } from "./runs.ts";

export function countdownHandlers(
  node: NodeContext,
): Pick<Handlers, "listCountdowns" | "cancelCountdown" | "acknowledgeCountdown"> {
  const nameOf = namesOf(node);
  const decide = async (
    decision: "cancel" | "acknowledge",
    { params, body, caller }: Pick<RequestOf<"cancelCountdown">, "params" | "body" | "caller">,
  ) => {
    const { countdown } = params;
    if (caller.roles.some((role) => role === "agent")) {
      throw fault("auth.agent", `Cannot let the agent \`${caller.id}\` decide on a countdown`, { countdown });
    }
    const { reason = "" } = body;
    return { countdown, ...(await node.engine.decideCountdown(countdown, decision, caller.actor, reason)) };
  };
  return {
    listCountdowns: async ({ caller }) => ({
      countdowns: node.engine.countdowns().map((one) => apiCountdown(one, nameOf, caller.roles)),
    }),
    cancelCountdown: (request) => decide("cancel", request),
    acknowledgeCountdown: (request) => decide("acknowledge", request),
  };
}

function apiCountdown(
  running: RunningCountdown,
  nameOf: ReturnType<typeof namesOf>,
  roles: readonly string[],
): Countdown {
  const { countdown, effect, acknowledgedBy, program, ...rest } = running;
  return {
    ...rest,
    id: countdown,
    program,
    programName: nameOf(program),
    effect: apiEffect(effect),
    acknowledgedBy: acknowledgedBy === null ? null : actorText(acknowledgedBy),
    mayCancel: !roles.includes("agent") && (hasRole(roles, running.role) || hasRole(roles, "operator")),
  };
}
