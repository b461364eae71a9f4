import { Agent, request } from "node:http";

export interface Target {
  readonly port: number;
  readonly token: string;
}

/** One HTTP POST with kept-alive connections; resolves with the status and the parsed body. */
export function poster(target: Target, connections: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const post = (path: string, body: string): Promise<{ readonly status: number; readonly body: unknown }> =>
    new Promise((resolve, reject) => {
      const call = request(
        {
          host: "127.0.0.1",
          port: target.port,
          method: "POST",
          path,
          agent,
          headers: {
            "content-type": "application/json",
            "content-length": Buffer.byteLength(body),
            authorization: `Bearer ${target.token}`,
          },
        },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => (text += chunk));
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, body: text === "" ? null : JSON.parse(text) }),
          );
        },
      );
      call.setNoDelay(true);
      call.on("error", reject);
      call.end(body);
    });
  return { post, close: () => agent.destroy() };
}

/** Keeps `inFlight` calls going for the time; returns the completed count, the elapsed seconds and each call's milliseconds. */
export async function closedLoop(options: {
  readonly inFlight: number;
  readonly seconds: number;
  readonly callsMax?: number;
  readonly call: () => Promise<void>;
}): Promise<{
  readonly completed: number;
  readonly seconds: number;
  readonly latenciesMs: readonly number[];
}> {
  const { inFlight, seconds, call, callsMax = Number.POSITIVE_INFINITY } = options;
  const start = performance.now();
  const end = start + seconds * 1000;
  const latenciesMs: number[] = [];
  let begun = 0;
  const worker = async () => {
    while (performance.now() < end && begun < callsMax) {
      begun += 1;
      const from = performance.now();
      await call();
      latenciesMs.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { completed: latenciesMs.length, seconds: (performance.now() - start) / 1000, latenciesMs };
}

/** Starts a call at fixed times whether or not earlier ones have ended (open loop); latency counts from the planned start. */
export async function openLoop(options: {
  readonly perSecond: number;
  readonly seconds: number;
  readonly call: () => Promise<void>;
}): Promise<readonly number[]> {
  const latenciesMs: number[] = [];
  const start = performance.now();
  const calls: Promise<void>[] = [];
  for (let index = 0; index < options.perSecond * options.seconds; index++) {
    const planned = start + (index * 1000) / options.perSecond;
    const wait = planned - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    calls.push(options.call().then(() => void latenciesMs.push(performance.now() - planned)));
  }
  await Promise.all(calls);
  return latenciesMs;
}
