// The prover: the verifier with its solver, started when the first proof needs it and kept warm.
import { createVerifier, type Verified, type VerifyRequest } from "@writ/verifier/verify";
import { createZ3Solver } from "@writ/verifier/z3";
import type { World } from "@writ/core/ports";

export interface Prover {
  /** A certificate, also when the program is refused. */
  prove(request: Omit<VerifyRequest, "nowMs">): Promise<Verified>;
  close(): Promise<void>;
}

export function createProver(world: World): Prover {
  const solver = createZ3Solver();
  const verifier = createVerifier({ solver });
  // One solver answers one question at a time; proofs wait for each other.
  let last: Promise<unknown> = Promise.resolve();
  return {
    prove(request) {
      const next = last.then(() => verifier.verify({ ...request, nowMs: () => world.monotonicMs() }));
      last = next.catch(() => {});
      return next;
    },
    close: () => solver.close(),
  };
}
