// Webhooks: who may deliver, by a secret of its own for each, and what has been delivered before.
//   S91  A delivery is signed as Standard Webhooks say: HMAC-SHA256 over `id.timestamp.body`, compared in constant time, no older or newer
//        than five minutes. What is unknown and what is wrongly signed are answered alike.
//   S92  The secret is shown once, in the answer that made it; it stands in a file that only this user can read, its SHA-256 in the
//        ledger. Only what the ledger has is accepted, so an old copy of the file brings no secret back.
//   S93  Deliveries are bounded in size, in number a minute and in number at once; those without a good signature on their own.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { closeSync, fchmodSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import path from "node:path";
import type { Actor } from "@writ/core/entry";
import { sha256, type Sha256 } from "@writ/core/ids";
import type { Delivery } from "@writ/core/ports";
import { parse, Type } from "@writ/core/schema";
import type { DeliveryInbox } from "@writ/modules/webhook";
import type { WebhookRecord } from "@writ/runtime/registry";
import { fault } from "../faults.ts";
import {
  deliveriesAtOnceMax,
  deliveriesPerMinuteMax,
  deliveryToleranceMs,
  webhookSecretBytes,
  webhooksMax,
} from "../limits.ts";
import { record, type NodeContext } from "./context.ts";

export interface WebhookRequest {
  readonly workspace: string;
  readonly name: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** As it was sent. */
  readonly text: string;
}

export interface Webhooks {
  /**
   * Checks a delivery and hands it to the source that listens; resolves when its event is durable.
   * @throws webhook.signature, webhook.timestamp, webhook.rate, webhook.unheard, webhook.body, webhook.cloud-event
   */
  deliver(
    request: WebhookRequest,
  ): Promise<{ readonly delivery: string; readonly status: "recorded" | "known" }>;
  /** Makes the secret, or another one; `keepPreviousMs` lets the old one sign for a while. @throws webhook.too-many */
  setSecret(
    webhook: { readonly workspace: string; readonly name: string; readonly keepPreviousMs: number },
    actor: Actor,
  ): Promise<{ readonly secretId: string; readonly secret: string }>;
  /** @throws webhook.unknown */
  remove(workspace: string, name: string, actor: Actor): Promise<void>;
  isHeard(workspace: string, name: string): boolean;
}

type Node = Pick<NodeContext, "ledger" | "world" | "entropy" | "registry" | "data">;

const minuteMs = 60_000;

export function createWebhooks(node: Node, inbox: DeliveryInbox): Webhooks {
  const kept = readSecrets(node.data);
  const counts = new Map<string, { minute: number; count: number }>();
  const underWay = new Map<string, number>();
  // What an unknown name is compared with, so that its answer takes as long.
  const nobody = Buffer.from(node.entropy.bytes(webhookSecretBytes));

  const find = (workspace: string, name: string): WebhookRecord | undefined =>
    node.registry().webhooks.get(`${workspace}/${name}`);

  const secretsOf = (known: WebhookRecord | undefined): readonly Buffer[] => {
    const hashes = known === undefined ? [] : [known.secretHash];
    if (known?.previous != null && known.previous.untilMs > node.world.nowMs())
      hashes.push(known.previous.secretHash);
    return hashes.flatMap((hash) => kept.get(hash) ?? []);
  };

  /** @throws webhook.rate */
  const count = (key: string): void => {
    const minute = Math.floor(node.world.monotonicMs() / minuteMs);
    let counted = counts.get(key);
    if (counted?.minute !== minute) counts.set(key, (counted = { minute, count: 0 }));
    counted.count += 1;
    if (counted.count <= deliveriesPerMinuteMax) return;
    throw fault("webhook.rate", `Cannot take more than ${deliveriesPerMinuteMax} deliveries a minute`, {
      perMinuteMax: deliveriesPerMinuteMax,
      retryAfterMs: minuteMs,
    });
  };

  return {
    async deliver({ workspace, name, headers, text }) {
      const known = find(workspace, name);
      const key = `${workspace}/${name}`;
      const id = one(headers["webhook-id"]);
      const timestamp = one(headers["webhook-timestamp"]);
      const secrets = secretsOf(known);
      const signed = `${id}.${timestamp}.${text}`;
      const isWellFormed = /^[\x21-\x7e]{1,128}$/.test(id) && /^\d{1,12}$/.test(timestamp);
      const isSigned = isSignedBy(
        secrets.length === 0 ? [nobody] : secrets,
        signed,
        one(headers["webhook-signature"]),
      );
      if (!isSigned || !isWellFormed || secrets.length === 0) {
        // One count for all names, so that guessing neither fills the memory nor tells by another answer which names there are.
        count("unsigned");
        throw fault(
          "webhook.signature",
          "Cannot take the delivery: it is not signed by a secret of this webhook",
        );
      }
      const sentMs = Number(timestamp) * 1000;
      if (Math.abs(node.world.nowMs() - sentMs) > deliveryToleranceMs) {
        throw fault("webhook.timestamp", "Cannot take the delivery: its time is too far from the node's", {
          sentMs,
          nowMs: node.world.nowMs(),
          toleranceMs: deliveryToleranceMs,
        });
      }
      count(key);
      const now = underWay.get(key) ?? 0;
      if (now >= deliveriesAtOnceMax) {
        throw fault("webhook.rate", `Cannot take more than ${deliveriesAtOnceMax} deliveries at once`, {
          atOnceMax: deliveriesAtOnceMax,
          retryAfterMs: 1000,
        });
      }
      underWay.set(key, now + 1);
      try {
        const status = await inbox.deliver(workspace, name, deliveryOf(id, headers, text));
        if (status === undefined) {
          throw fault(
            "webhook.unheard",
            `Cannot take the delivery: no deployed program listens to \`${name}\``,
            { name },
          );
        }
        return { delivery: id, status };
      } finally {
        underWay.set(key, (underWay.get(key) ?? 1) - 1);
      }
    },
    async setSecret({ workspace, name, keepPreviousMs }, actor) {
      const known = find(workspace, name);
      if (known === undefined && node.registry().webhooks.size >= webhooksMax) {
        throw fault("webhook.too-many", `Cannot keep more than ${webhooksMax} webhooks`, { webhooksMax });
      }
      const bytes = Buffer.from(node.entropy.bytes(webhookSecretBytes));
      const secretHash = hashOf(bytes);
      const secretId = secretHash.slice(0, 16);
      const previous =
        known === undefined || keepPreviousMs === 0
          ? null
          : { secretHash: known.secretHash, untilMs: node.world.nowMs() + keepPreviousMs };
      // First the file: a secret that the ledger does not have signs nothing.
      kept.set(secretHash, bytes);
      writeSecrets(node.data, kept);
      await record(node, actor, {
        kind: "webhook.secret-set",
        facts: { workspace, name, secretId, secretHash, previous },
      });
      forget();
      return { secretId, secret: `whsec_${bytes.toString("base64")}` };
    },
    async remove(workspace, name, actor) {
      if (find(workspace, name) === undefined)
        throw fault("webhook.unknown", `Cannot find the webhook \`${name}\` of \`${workspace}\``, {
          workspace,
          name,
        });
      await record(node, actor, { kind: "webhook.removed", facts: { workspace, name } });
      forget();
    },
    isHeard: (workspace, name) => inbox.isHeard(workspace, name),
  };

  /** Secrets that sign nothing any more leave the file. */
  function forget(): void {
    const wanted = new Set(
      [...node.registry().webhooks.values()].flatMap((each) => [
        each.secretHash,
        each.previous?.secretHash ?? "",
      ]),
    );
    for (const hash of kept.keys()) if (!wanted.has(hash)) kept.delete(hash);
    writeSecrets(node.data, kept);
  }
}

function one(header: string | readonly string[] | undefined): string {
  return typeof header === "string" ? header : "";
}

/** `v1,BASE64` once or several times, separated by spaces. Every pair is compared, whatever was found before. */
function isSignedBy(secrets: readonly Buffer[], signed: string, header: string): boolean {
  const given = header
    .split(" ")
    .filter((each) => each.startsWith("v1,"))
    .slice(0, 8)
    .map((each) => Buffer.from(each.slice(3), "base64"));
  let isFound = false;
  for (const secret of secrets) {
    const expected = createHmac("sha256", secret).update(signed).digest();
    for (const signature of given) {
      if (signature.length === expected.length && timingSafeEqual(signature, expected)) isFound = true;
    }
  }
  return isFound;
}

function deliveryOf(id: string, headers: WebhookRequest["headers"], text: string): Delivery {
  const about = Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith("ce-") && typeof value === "string" ? [[name, value] as const] : [],
  );
  return { id, contentType: one(headers["content-type"]), headers: Object.fromEntries(about), text };
}

function hashOf(bytes: Uint8Array): Sha256 {
  return sha256(createHash("sha256").update(bytes).digest("hex"));
}

const SecretsFile = Type.Object(
  {
    secrets: Type.Array(Type.String({ pattern: "^[A-Za-z0-9+/=]{40,100}$", maxLength: 100 }), {
      maxItems: 4 * webhooksMax,
    }),
  },
  { additionalProperties: false },
);

function fileOf(data: string): string {
  return path.join(data, "webhooks.json");
}

/** By hash. A file that is not there holds none; the ledger says which of them count. */
function readSecrets(data: string): Map<Sha256, Buffer> {
  let text: string;
  try {
    text = readFileSync(fileOf(data), "utf8");
  } catch {
    return new Map();
  }
  const { secrets } = parse(SecretsFile, JSON.parse(text), `\`${fileOf(data)}\``);
  return new Map(
    secrets.map((secret) => {
      const bytes = Buffer.from(secret, "base64");
      return [hashOf(bytes), bytes];
    }),
  );
}

function writeSecrets(data: string, kept: ReadonlyMap<Sha256, Buffer>): void {
  const file = fileOf(data);
  const descriptor = openSync(`${file}.new`, "w", 0o600);
  try {
    // The mode given to `open` does not count for a file that was left behind.
    fchmodSync(descriptor, 0o600);
    const secrets = [...kept.values()].map((bytes) => bytes.toString("base64"));
    writeSync(descriptor, `${JSON.stringify({ secrets })}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(`${file}.new`, file);
}
