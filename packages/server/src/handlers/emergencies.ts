// Emergency stops: anybody may stop, only an owner starts again.
//   S80  Any person may stop a target, a workspace or everything, an agent may not; only an owner clears a stop.
import type { Emergency } from "@writ/core/api";
import type { EmergencyStop } from "@writ/runtime/registry";
import { fault } from "../faults.ts";
import type { Handlers } from "../http/app.ts";
import type { NodeContext } from "../node/context.ts";
import { actorText } from "../views/entry.ts";

export function emergencyHandlers(
  node: NodeContext,
): Pick<Handlers, "listEmergencyStops" | "emergencyStop" | "clearEmergencyStop"> {
  return {
    listEmergencyStops: async () => ({ stops: node.engine.emergencies().map(apiEmergency) }),
    emergencyStop: async ({ body, caller }) => {
      if (caller.roles.some((role) => role === "agent")) {
        throw fault("auth.agent", `Cannot let the agent \`${caller.id}\` make an emergency stop`, {});
      }
      const stopped = await node.engine.emergencyStop(body.scope, caller.actor, body.reason);
      return {
        ...apiEmergency(stopped.stop),
        cancelled: stopped.cancelled.map((each) => ({ ...each })),
        underWay: stopped.underWay.map((each) => ({ ...each })),
      };
    },
    clearEmergencyStop: async ({ params, body, caller }) =>
      apiEmergency(await node.engine.clearEmergency(params.stop, caller.actor, body.reason ?? "")),
  };
}

export function apiEmergency({ stop, scope, reason, by, atMs }: EmergencyStop): Emergency {
  return { stop, scope, reason, by: actorText(by), atMs };
}
