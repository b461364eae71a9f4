import { faultRecord, type FaultFacts } from "@writ/core/fault";
import { fault, type modulesFaults } from "../faults.ts";

const codes: Readonly<Record<string, keyof typeof modulesFaults>> = {
  ENOENT: "filesystem.not-found",
  EEXIST: "filesystem.exists",
  EISDIR: "filesystem.is-a-folder",
  ENOTDIR: "filesystem.not-a-folder",
  ENOTEMPTY: "filesystem.not-empty",
  EACCES: "filesystem.permission",
  EPERM: "filesystem.permission",
  EROFS: "filesystem.read-only",
  ENOSPC: "filesystem.disk-full",
  EDQUOT: "filesystem.disk-full",
  EFBIG: "filesystem.disk-full",
  EXDEV: "filesystem.other-device",
  EMFILE: "filesystem.too-many-open",
  ENFILE: "filesystem.too-many-open",
  EBUSY: "filesystem.busy",
  ETXTBSY: "filesystem.busy",
  ELOOP: "filesystem.is-a-link",
  ENXIO: "filesystem.not-a-file",
  ENAMETOOLONG: "filesystem.path-too-long",
};

/** The system's error as a fault; faults and bugs pass unchanged. `what` begins with `Cannot …` and has no final period. */
export function fsFault(error: unknown, what: string, path: string, facts: FaultFacts = {}): unknown {
  if (faultRecord(error) !== undefined) return error;
  const errno = errnoOf(error);
  // A connection that broke while its bytes were being written to a file is no fault of the file.
  if (errno === undefined || /^E(CONN|TIMEDOUT|PIPE|NET|HOST)/.test(errno)) return error;
  return fault(
    codes[errno] ?? "filesystem.io",
    `${what}: ${reasonOf(errno)}`,
    { path, errno, ...facts },
    error,
  );
}

/** The system's error code, such as `ENOENT`, or undefined when it is no error of the system. */
function errnoOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error) || !("syscall" in error))
    return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

export function hasErrno(error: unknown, ...wanted: readonly string[]): boolean {
  const errno = errnoOf(error);
  return errno !== undefined && wanted.includes(errno);
}

function reasonOf(errno: string): string {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "it does not exist",
    EEXIST: "it exists already",
    EISDIR: "it is a folder",
    ENOTDIR: "it is not a folder",
    ENOTEMPTY: "the folder is not empty",
    EACCES: "permission denied",
    EPERM: "not permitted",
    EROFS: "the file system is read-only",
    ENOSPC: "the disk is full",
    EDQUOT: "the disk quota is used up",
    EFBIG: "the file would be too large for this file system",
    EXDEV: "the two places are on different file systems",
    EMFILE: "too many open files",
    ENFILE: "too many open files",
    EBUSY: "it is in use",
    ETXTBSY: "it is being executed",
    ELOOP: "it is a symbolic link",
    ENXIO: "it is no regular file",
    ENAMETOOLONG: "the name is too long",
  };
  return reasons[errno] ?? `the system answered ${errno}`;
}
