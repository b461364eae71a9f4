// The stream of entries: each once it is durable, in ledger order, without a gap.
//   S50  A client that names `from` gets every entry from there on, then the new ones; there is no seam between the two.
//   S51  A client that lags is waited for; one that takes nothing for a while is closed with the reason, and goes on from there.
//   S52  A stream ends with the key that opened it.
import type { Entry } from "@writ/core/entry";
import type { Ledger, World } from "@writ/core/ports";
import { streamBytesMax, streamsMax, streamWaitMs, streamWaitsMax } from "./limits.ts";
import type { Socket } from "./http/app.ts";
import type { Log } from "./log.ts";
import { apiEntry } from "./views/entry.ts";

/** WebSocket close codes (RFC 6455, section 7.4.1, and its registry). */
const tryAgainLater = 1013;
const internalError = 1011;
const policyViolation = 1008;

interface StreamQuery {
  readonly from?: number | undefined;
  readonly run?: string | undefined;
}

export interface EntryStreams {
  /** `isWelcome` is asked before each entry. */
  open(socket: Socket, query: StreamQuery, isWelcome: () => boolean): void;
  closeAll(): void;
}

export function createEntryStreams(ledger: Ledger, world: World, log: Log): EntryStreams {
  const sockets = new Set<Socket>();
  return {
    open(socket, query, isWelcome) {
      if (sockets.size >= streamsMax) {
        socket.close(tryAgainLater, "too many streams");
        return;
      }
      sockets.add(socket);
      const end = follow({ ledger, world, log, socket, query, isWelcome });
      const forget = () => {
        sockets.delete(socket);
        end();
      };
      socket.on("close", forget);
      socket.on("error", forget);
    },
    closeAll() {
      for (const socket of sockets) socket.close(1001, "the node stops");
    },
  };
}

interface Following {
  readonly ledger: Ledger;
  readonly world: World;
  readonly log: Log;
  readonly socket: Socket;
  readonly query: StreamQuery;
  readonly isWelcome: () => boolean;
}

function follow({ ledger, world, log, socket, query, isWelcome }: Following): () => void {
  let next = query.from ?? ledger.durableSeq() + 1;
  let isReading = false;
  let isOpen = true;
  const end = (code: number, reason: string): void => {
    isOpen = false;
    socket.close(code, reason);
  };
  const isBehind = () => socket.bufferedAmount > streamBytesMax;
  const send = (entry: Entry): void => {
    if (!isOpen) return;
    if (!isWelcome()) {
      end(policyViolation, "the key is void");
      return;
    }
    next = entry.seq + 1;
    if (query.run === undefined || entry.run === query.run) socket.send(JSON.stringify(apiEntry(entry)));
  };
  /** Resolves when the client has taken enough of what was sent, or is given up. */
  const caughtUp = async (): Promise<void> => {
    let left = socket.bufferedAmount;
    for (let waits = 0; isOpen && isBehind(); waits++) {
      if (waits === streamWaitsMax) end(tryAgainLater, `too slow; go on from ${next}`);
      await world.sleep(streamWaitMs);
      if (socket.bufferedAmount < left) waits = 0;
      left = socket.bufferedAmount;
    }
  };
  /** Reads from the ledger what the subscription did not hand over: the past, and what came while reading it. */
  const catchUp = async (): Promise<void> => {
    isReading = true;
    try {
      while (isOpen && next <= ledger.durableSeq()) {
        for await (const entry of ledger.scan(next, ledger.durableSeq() + 1)) {
          if (isBehind()) await caughtUp();
          if (!isOpen) return;
          send(entry);
        }
      }
    } catch (error) {
      log.error("stream.failed", { from: next, error: String(error) });
      end(internalError, "the ledger cannot be read");
    } finally {
      isReading = false;
    }
  };
  const unsubscribe = ledger.subscribe((entries) => {
    if (isReading || !isOpen) return;
    const [first] = entries;
    if (first !== undefined && first.seq <= next && !isBehind()) {
      for (const entry of entries) if (entry.seq >= next) send(entry);
    } else void catchUp();
  });
  void catchUp();
  return () => {
    isOpen = false;
    unsubscribe();
  };
}
