import type { Person, PersonToken } from "@writ/core/api";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import { table, time } from "../render/layout.ts";
import type { Act } from "../run.ts";

export function addPeopleCommands(program: Command, act: Act): void {
  program.commandsGroup("People:");
  const person = program.command("person").description("people and agents: add, list, remove, token");
  person
    .command("add <id>")
    .description("add somebody; the token is shown once")
    .option("--name <name>", "as people write it")
    .option("--role <role...>", "owner, operator, agent, or a role of a workspace such as accountant", [])
    .addHelpText("after", "\nExample:\n  writ person add claire --name Claire --role accountant")
    .action(act(add));
  person.command("list").description("everybody this node knows").action(act(list));
  person
    .command("remove <id>")
    .description("remove somebody; the token is void at once")
    .action(
      act(async (context, id: string) => {
        const answer = await context.client.call("removePerson", { params: { id } });
        return context.answer(answer, ({ removed }) => `removed ${removed}`);
      }),
    );
  person
    .command("token <id>")
    .description("make a new token; the old one is void at once")
    .action(
      act(async (context, id: string) => {
        const answer = await context.client.call("replaceToken", { params: { id }, body: {} });
        return context.answer(answer, renderToken);
      }),
    );
  program.command("people").description("the same as `writ person list`").action(act(list));
}

async function add(
  context: Context,
  id: string,
  { name, role }: { readonly name?: string; readonly role: readonly string[] },
): Promise<ExitCode> {
  const body = { id, roles: [...role], ...(name === undefined ? {} : { name }) };
  const answer = await context.client.call("addPerson", { body });
  return context.answer(answer, renderToken);
}

async function list(context: Context): Promise<ExitCode> {
  const { people } = await context.client.call("listPeople", {});
  return context.answer(people, renderPeople);
}

function renderPeople(people: readonly Person[]): string {
  return table(
    ["id", "name", "roles", "key", "added"],
    people.map((person) => [
      person.id,
      person.name,
      person.roles.join(", "),
      person.key,
      time(person.addedAtMs),
    ]),
  );
}

function renderToken({ person, token }: PersonToken): string {
  return `${person.id} (${person.roles.join(", ")})\ntoken, shown this once: ${token}`;
}
