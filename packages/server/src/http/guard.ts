// Who may come in: the Host and Origin of a request, then its bearer key, then the roles of the person it belongs to.
//   S1  Only names of this machine are taken as Host (against DNS rebinding); a page's Origin must be the node itself.
//   S2  Every route but those of access `public` needs a key, or (`signed`) a signature over the request, which the route checks. A key is looked up by its id and compared by hash in constant time.
//   S3  A role that is missing is `auth.role`; what is unknown and what is forbidden are told apart only for people who are known.
import { hash, timingSafeEqual } from "node:crypto";
import { accessRoles, type Access } from "@writ/core/api";
import { fromHex } from "@writ/core/bytes";
import type { Actor } from "@writ/core/entry";
import type { KeyId, PersonId, RoleName, Sha256 } from "@writ/core/ids";
import { fault } from "../faults.ts";
import { keyOfToken } from "../token.ts";

export interface Caller {
  readonly id: PersonId;
  readonly name: string;
  readonly roles: readonly RoleName[];
  readonly actor: Actor;
  /** Somebody on the machine itself, by the key of the data folder: may replace tokens and nothing else. */
  readonly isMachine?: true;
}

export interface KnownPerson {
  readonly id: PersonId;
  readonly name: string;
  readonly roles: readonly RoleName[];
  readonly key: KeyId;
  readonly tokenHash: Sha256;
  readonly isMachine?: true;
}

/** @throws request.host, request.origin */
export function checkPlace(
  headers: { readonly host?: string | undefined; readonly origin?: string | undefined },
  port: number,
): void {
  const { host, origin } = headers;
  if (host === undefined || !isOwnName(host, port)) {
    throw fault("request.host", `Cannot serve a request for the host \`${(host ?? "").slice(0, 80)}\``, {
      port,
    });
  }
  if (
    origin !== undefined &&
    !(origin.startsWith("http://") && isOwnName(origin.slice("http://".length), port))
  ) {
    throw fault("request.origin", `Cannot serve a page of \`${origin.slice(0, 80)}\``, { port });
  }
}

function isOwnName(host: string, port: number): boolean {
  const colon = host.lastIndexOf(":");
  const hasPort = colon > host.lastIndexOf("]");
  const name = (hasPort ? host.slice(0, colon) : host).toLowerCase();
  const own = name === "127.0.0.1" || name === "localhost" || name === "[::1]";
  return own && (hasPort ? host.slice(colon + 1) === String(port) : port === 80);
}

/** @throws auth.missing, auth.unknown */
export function callerOf(
  authorization: string | undefined,
  findByKey: (key: KeyId) => KnownPerson | undefined,
): Caller {
  const token = /^Bearer ([\x21-\x7e]{1,200})$/i.exec(authorization ?? "")?.[1];
  if (token === undefined) throw fault("auth.missing", "Cannot serve a request without a key");
  const key = keyOfToken(token);
  const person = key === undefined ? undefined : findByKey(key);
  // The comparison is made also when nobody has the key, so that the time says nothing about which keys exist.
  const given = hash("sha256", token, "buffer");
  const expected = person === undefined ? Buffer.alloc(32) : fromHex(person.tokenHash);
  if (!timingSafeEqual(given, expected) || person === undefined) {
    throw fault("auth.unknown", "Cannot serve a request with an unknown or replaced key");
  }
  const { id, name, roles, isMachine } = person;
  return {
    id,
    name,
    roles,
    actor: { kind: "person", id, key: person.key },
    ...(isMachine === undefined ? {} : { isMachine }),
  };
}

/** @throws auth.role */
export function checkAccess(caller: Caller, access: Access, operation: string): void {
  if (caller.isMachine === true && operation !== "replaceToken") {
    throw fault("auth.role", "Cannot let the machine's own key do this: it replaces tokens and nothing else");
  }
  if (access === "public" || access === "signed" || access === "anyone") return;
  const wanted = accessRoles[access];
  if (caller.roles.some((role) => wanted.includes(role))) return;
  throw fault("auth.role", `Cannot let \`${caller.id}\` do this: it needs the role ${wanted.join(" or ")}`, {
    person: caller.id,
    roles: caller.roles,
    needs: wanted,
  });
}
