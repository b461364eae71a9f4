// The stream of entries: each once it is durable, in ledger order, without a gap.
//   S50  A client that names `from` gets every entry from there on, then the new ones; there is no seam between the two.
//   S51  A client that cannot keep up is closed with the reason, and goes on from the last entry it has.
import type { Entry } from "@writ/core/entry";
import type { Ledger } from "@writ/core/ports";
import { streamBytesMax, streamsMax } from "./limits.ts";
import type { Socket } from "./http/app.ts";
import type { Log } from "./log.ts";
import { apiEntry } from "./views/entry.ts";

/** WebSocket close codes (RFC 6455, section 7.4.1, and its registry). */
const tryAgainLater = 1013;
const internalError = 1011;

export interface EntryStreams {
  open(
    socket: Socket,
    query: { readonly from?: number | undefined; readonly run?: string | undefined },
  ): void;
  closeAll(): void;
}

export function createEntryStreams(ledger: Ledger, log: Log): EntryStreams {
  const sockets = new Set<Socket>();
  return {
    open(socket, query) {
      if (sockets.size >= streamsMax) {
        socket.close(tryAgainLater, "too many streams");
        return;
      }
      sockets.add(socket);
      const end = follow(ledger, socket, query, log);
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

function follow(
  ledger: Ledger,
  socket: Socket,
  query: { readonly from?: number | undefined; readonly run?: string | undefined },
  log: Log,
): () => void {
  let next = query.from ?? ledger.durableSeq() + 1;
  let isReading = false;
  let isOpen = true;
  const send = (entry: Entry): void => {
    next = entry.seq + 1;
    if (!isOpen || (query.run !== undefined && entry.run !== query.run)) return;
    if (socket.bufferedAmount > streamBytesMax) {
      isOpen = false;
      socket.close(tryAgainLater, `too slow; go on from ${entry.seq}`);
      return;
    }
    socket.send(JSON.stringify(apiEntry(entry)));
  };
  /** Reads from the ledger what the subscription did not hand over: the past, and what came while reading it. */
  const catchUp = async (): Promise<void> => {
    isReading = true;
    try {
      while (isOpen && next <= ledger.durableSeq()) {
        for await (const entry of ledger.scan(next, ledger.durableSeq() + 1)) {
          send(entry);
          if (!isOpen) return;
        }
      }
    } catch (error) {
      log.error("stream.failed", { from: next, error: String(error) });
      isOpen = false;
      socket.close(internalError, "the ledger cannot be read");
    } finally {
      isReading = false;
    }
  };
  const unsubscribe = ledger.subscribe((entries) => {
    if (isReading || !isOpen) return;
    if (entries[0] !== undefined && entries[0].seq <= next) {
      for (const entry of entries) if (entry.seq >= next) send(entry);
    } else void catchUp();
  });
  void catchUp();
  return () => {
    isOpen = false;
    unsubscribe();
  };
}
