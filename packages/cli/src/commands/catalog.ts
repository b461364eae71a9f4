import type { CapabilitySummary } from "@writ/core/api";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import { brief, paragraphs, section, table } from "../render/layout.ts";
import type { Act } from "../run.ts";

export function addCatalogCommands(program: Command, act: Act): void {
  program.commandsGroup("What can be done:");
  program
    .command("capabilities [search...]")
    .description("list capabilities, by search words in English or French")
    .addHelpText("after", "\nExample:\n  writ capabilities move file")
    .action(
      act(async (context, words: readonly string[]) => {
        const query = words.length === 0 ? {} : { search: words.join(" ") };
        const { capabilities } = await context.client.call("listCapabilities", { query });
        return context.answer(capabilities, renderCapabilities);
      }),
    );
  const capability = program.command("capability").description("one capability: show, revoke, restore");
  capability.command("show <id>").description("its contract; the version may be left out").action(act(show));
  capability
    .command("revoke <id>")
    .description("refuse it from now on, in every program and run")
    .option("--reason <text>", "kept in the ledger")
    .action(
      act((context, id: string, { reason }: { readonly reason?: string }) =>
        revoke(context, id, false, reason),
      ),
    );
  capability
    .command("restore <id>")
    .description("allow it again")
    .action(act((context, id: string) => revoke(context, id, true, undefined)));
  program
    .command("policies")
    .description("the policies in force, as Cedar text")
    .action(
      act(async (context) => {
        const policies = await context.client.call("getPolicies", {});
        return context.answer(policies, ({ files, hash }) =>
          paragraphs(...files.map(({ name, text }) => `// ${name}\n${text}`), `// hash ${hash}`),
        );
      }),
    );
}

function renderCapabilities(capabilities: readonly CapabilitySummary[]): string {
  if (capabilities.length === 0) return "none matches; `writ capabilities` lists all";
  return table(
    ["id", "effect", "risk", "what"],
    capabilities.map((found) => [
      found.id,
      found.revoked ? `${found.effect}, REVOKED` : found.effect,
      found.risk,
      found.summary.en,
    ]),
  );
}

async function show(context: Context, id: string): Promise<ExitCode> {
  const capability = await context.client.call("getCapability", { params: { id } });
  return context.answer(capability, (found) =>
    paragraphs(
      `${found.id}${found.revoked ? " (REVOKED)" : ""}: ${found.summary.en}\n${found.summary.fr}`,
      table(
        ["effect", "risk", "permission", "undo", "after a crash"],
        [[found.effect, found.risk, found.permission, found.undo ?? "none", found.crash]],
      ),
      section("Said in rules", [...found.phrases.en, ...found.phrases.fr].join("\n")),
      section("Parameters", JSON.stringify(found.params, undefined, 2)),
      section("Result", JSON.stringify(found.result, undefined, 2)),
      `labels ${found.labels.join(", ") || "none"}; timeout ${found.timeoutMs} ms; retried on ${brief(found.retryOn)}`,
    ),
  );
}

async function revoke(
  context: Context,
  capability: string,
  restore: boolean,
  reason: string | undefined,
): Promise<ExitCode> {
  const body = { capability, restore, ...(reason === undefined ? {} : { reason }) };
  const answer = await context.client.call("revokeCapability", { body });
  return context.answer(answer, (shown) => `${shown.capability}: ${shown.revoked ? "revoked" : "allowed"}`);
}
