// Headers of a request that carry credentials. What a plan or a rule says is kept in the ledger for ever, so they are not said there.
const secretHeaders: ReadonlySet<string> = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "x-api-key",
  "api-key",
  "x-auth-token",
]);

/** Case does not count (RFC 9110, 5.1). */
export function isSecretHeader(name: string): boolean {
  return secretHeaders.has(name.trim().toLowerCase());
}
