// People: who may call the node, with which roles and which key.
//   S7  A token is shown once, in the answer that made it; the ledger has its SHA-256.
//   S8  A node always has an owner; the key of a removed person is void at once.
//   S9  An agent gets no other role: what it hands in is decided by people.
import type { Person } from "@writ/core/api";
import { personId, roleName } from "@writ/core/ids";
import type { RegisteredPerson, Registry } from "@writ/runtime/registry";
import { fault } from "../faults.ts";
import type { Handlers } from "../http/app.ts";
import { record, type NodeContext, type Queue } from "../node/context.ts";
import { newToken } from "../token.ts";

export function peopleHandlers(
  node: NodeContext,
  inOrder: Queue,
): Pick<Handlers, "listPeople" | "addPerson" | "removePerson" | "replaceToken"> {
  return {
    listPeople: async () => ({
      people: [...node.registry().people.values()].map((person) => apiPerson(node, person)),
    }),
    addPerson: ({ body, caller }) =>
      inOrder(async () => {
        const id = personId(body.id);
        const roles = [...new Set(body.roles)].sort().map(roleName);
        if (node.registry().people.has(id)) {
          throw fault("person.exists", `Cannot add \`${id}\`: there is a person of this id`, { person: id });
        }
        if (roles.includes(roleName("agent")) && roles.length > 1) {
          throw fault("person.roles", `Cannot add \`${id}\`: an agent has no other role`, {
            person: id,
            roles,
          });
        }
        const { token, key, tokenHash } = newToken(node.entropy);
        const name = body.name ?? id;
        await record(node, caller.actor, {
          kind: "person.added",
          facts: { person: id, name, roles, key, tokenHash },
        });
        return { person: apiPerson(node, { id, name, roles, key }), token };
      }),
    removePerson: ({ params, caller }) =>
      inOrder(async () => {
        const person = find(node.registry(), params.id);
        const owners = [...node.registry().people.values()].filter(({ roles }) =>
          roles.includes(roleName("owner")),
        );
        if (owners.length === 1 && owners[0]?.id === person.id) {
          throw fault("person.last-owner", `Cannot remove \`${person.id}\`: nobody else is an owner`, {
            person: person.id,
          });
        }
        await record(node, caller.actor, { kind: "person.removed", facts: { person: person.id } });
        return { removed: person.id };
      }),
    replaceToken: ({ params, caller }) =>
      inOrder(async () => {
        const person = find(node.registry(), params.id);
        const { token, key, tokenHash } = newToken(node.entropy);
        const on = caller.isMachine ? "machine" : "api";
        await record(node, caller.actor, {
          kind: "person.token-replaced",
          facts: { person: person.id, key, tokenHash, on },
        });
        return { person: apiPerson(node, { ...person, key }), token };
      }),
  };
}

function find(registry: Registry, id: string): RegisteredPerson {
  const person = registry.people.get(personId(id));
  if (person === undefined) throw fault("person.unknown", `Cannot find the person \`${id}\``, { person: id });
  return person;
}

function apiPerson(
  node: NodeContext,
  { id, name, roles, key }: Pick<RegisteredPerson, "id" | "name" | "roles" | "key">,
): Person {
  return { id, name, roles: [...roles], key, addedAtMs: node.addedAtMs(id) };
}
