import { afterAll, beforeAll, expect, test } from "vitest";
import type { Certificate, CertificateCheck } from "@writ/core/program";
import { checkCertificate, requiredChecks } from "@writ/verifier/check";
import { createVerifier } from "@writ/verifier/verify";
import { createZ3Solver } from "@writ/verifier/z3";
import { catalog, hashed, story } from "./catalog.ts";

const solver = createZ3Solver();
afterAll(() => solver.close());
const program = hashed(story());
const other = hashed(story({ limit: "10001" }));
let certificate: Certificate;
beforeAll(async () => {
  certificate = (await createVerifier({ solver }).verify({ program, catalog, deployed: [] })).certificate;
});

/** The certificate with one check changed. */
function edited(check: number, edit: (one: CertificateCheck) => CertificateCheck): Certificate {
  return { ...certificate, checks: certificate.checks.map((one) => (one.check === check ? edit(one) : one)) };
}

async function messages(changed: Certificate, asks = false, about = program) {
  const checked = await checkCertificate({
    certificate: changed,
    program: about,
    catalog,
    ...(asks ? { solver } : {}),
  });
  return checked.kind === "confirmed" ? [] : checked.problems.map((problem) => problem.message);
}

test("R1 R3 a certificate is confirmed from the program alone, and its queries by asking again", async () => {
  expect(await checkCertificate({ certificate, program, catalog })).toMatchObject({
    kind: "confirmed",
    queriesAsked: 0,
  });
  const asked = await checkCertificate({ certificate, program, catalog, solver });
  expect(asked).toMatchObject({ kind: "confirmed" });
  expect(asked.kind === "confirmed" && asked.queriesAsked).toBeGreaterThan(0);
});

test("K16 R1 a certificate of another program is refused", async () => {
  expect(await messages(certificate, false, other)).toContainEqual(
    expect.stringContaining("another program"),
  );
  expect(await messages(certificate, false, { ...program, bytes: other.bytes })).toContainEqual(
    expect.stringContaining("do not have its hash"),
  );
});

test("R1 an edited query is refused", async () => {
  const changed = edited(3, (one) =>
    one.query === null ? one : { ...one, query: { ...one.query, text: `${one.query.text} ` } },
  );
  expect(await messages(changed)).toContainEqual(expect.stringContaining("not the one that was hashed"));
});

test("R3 a query that is answered otherwise is refused", async () => {
  const { createHash } = await import("node:crypto");
  const text = "(assert false)\n(check-sat)\n";
  const sha256 = createHash("sha256").update(text).digest("hex") as never;
  const changed = edited(3, (one) => ({ ...one, query: { text, sha256, result: "sat" } }));
  expect(await messages(changed)).toEqual([]);
  expect(await messages(changed, true)).toContainEqual(expect.stringContaining("unsat, not sat"));
});

test("R3 a question that is not about the program is no proof of it", async () => {
  const { createHash } = await import("node:crypto");
  const impossible = hashed(story({ limit: "10 && s2.sum < 5" }));
  const refused = await createVerifier({ solver }).verify({ program: impossible, catalog, deployed: [] });
  expect(refused.certificate.verdict).toBe("refused");
  const asQuery = (text: string, result: "sat" | "unsat") => ({
    text,
    sha256: createHash("sha256").update(text).digest("hex") as never,
    result,
  });
  const forge = (query: CertificateCheck["query"]): Certificate => ({
    ...refused.certificate,
    verdict: "proved",
    checks: refused.certificate.checks.map((one) =>
      one.check === 3 ? { ...one, verdict: "holds", query, counterexample: null } : one,
    ),
  });
  for (const query of [asQuery("(assert true)\n(check-sat)\n", "sat"), null]) {
    expect(await messages(forge(query), true, impossible)).toContainEqual(
      expect.stringContaining("asks something else"),
    );
  }
});

test("R2 R4 a verdict that was turned, a check left out and an encoder of another kind are refused", async () => {
  for (const check of [1, 28, 29, 30, 32, 35, 36]) {
    const turned = edited(check, (one) => ({ ...one, verdict: "violated" as const }));
    expect((await messages(turned)).length).toBeGreaterThan(0);
  }
  for (const check of requiredChecks) {
    const without = { ...certificate, checks: certificate.checks.filter((one) => one.check !== check) };
    expect(await messages(without)).toContainEqual(expect.stringContaining("missing"));
  }
  expect(await messages({ ...certificate, encoder: "another" })).toContainEqual(
    expect.stringContaining("another"),
  );
  expect(await messages({ ...certificate, verdict: "refused" })).toContainEqual(
    expect.stringContaining("every check holds"),
  );
  const wrong = edited(3, (one) =>
    one.query === null ? one : { ...one, query: { ...one.query, result: "unsat" as const } },
  );
  expect(await messages(wrong)).toContainEqual(expect.stringContaining("holds only when"));
});

test("R2 a certificate that hides a way out of the workspace is refused", async () => {
  const escaping = hashed(story({ destination: "../" }));
  const forged = { ...certificate, program: escaping.hash };
  const checked = await checkCertificate({ certificate: forged, program: escaping, catalog });
  expect(checked).toMatchObject({ kind: "rejected" });
  expect(
    checked.kind === "rejected" && checked.problems.some((problem) => problem.message.includes("check 28")),
  ).toBe(true);
});
