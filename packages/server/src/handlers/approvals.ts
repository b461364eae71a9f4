// Approvals: people decide on exactly what they are shown.
//   S16  Only somebody with the approval's role decides, and never an agent, whatever roles it has (K108).
//   S17  A request that names its own approval id decides on that one alone; nothing is approved for later (K89).
import { approvalId } from "@writ/core/ids";
import { fault } from "../faults.ts";
import type { Handlers } from "../http/app.ts";
import type { NodeContext } from "../node/context.ts";
import { apiApproval, mayDecide } from "../views/run.ts";
import { namesOf } from "./runs.ts";

export function approvalHandlers(node: NodeContext): Pick<Handlers, "listApprovals" | "decideApproval"> {
  const nameOf = namesOf(node);
  return {
    listApprovals: async ({ query, caller }) => {
      const approvals = node.engine
        .approvals()
        .map((approval) => apiApproval(approval, nameOf, caller.roles));
      return {
        approvals: query.mine === true ? approvals.filter((approval) => approval.mayDecide) : approvals,
      };
    },
    decideApproval: async ({ params, body, caller }) => {
      const id = approvalId(params.approval);
      if (caller.roles.some((role) => role === "agent")) {
        throw fault("auth.agent", `Cannot let the agent \`${caller.id}\` decide on an approval`, {
          approval: id,
        });
      }
      const waiting = node.engine.approvals().find(({ approval }) => approval === id);
      if (waiting !== undefined && !mayDecide(caller.roles, waiting.role)) {
        throw fault(
          "approval.wrong-role",
          `Cannot let \`${caller.id}\` decide: it waits for the ${waiting.role}`,
          {
            approval: id,
            role: waiting.role,
            roles: caller.roles,
          },
        );
      }
      await node.engine.decideApproval(id, body.decision, caller.actor, body.comment ?? "");
      return { approval: id, decision: body.decision, run: waiting?.run ?? "" };
    },
  };
}
