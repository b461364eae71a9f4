// Limits of the built-in modules. Each name carries its unit.

/** Bytes `read_file` returns at most; a larger file is read in parts. */
export const readBytesMax = 10 * 1024 * 1024;
/** Bytes of one file name on the file systems we meet (ext4, APFS, NTFS). */
export const nameBytesMax = 255;
/** Symbolic links followed in one path, as in Linux. */
export const linksMax = 40;
export const chunkBytes = 64 * 1024;
export const listEntriesMax = 10_000;
export const searchResultsMax = 1000;
/** Files and folders looked at by one recursive listing or search. */
export const walkEntriesMax = 200_000;
export const walkDepthMax = 64;
/** Bytes looked at to recognise encoding, delimiter and line ends. */
export const sampleBytes = 64 * 1024;
export const csvColumnsMax = 1000;
export const csvRecordBytesMax = 1024 * 1024;
export const csvRowValuesMax = 1000;
export const archiveEntriesMax = 10_000;
/** Bytes an archive may unpack to. */
export const archiveBytesMax = 4 * 1024 * 1024 * 1024;
/** Unpacked over packed size, above which an archive counts as a bomb once it exceeds `archiveRatioFreeBytes`. */
export const archiveRatioMax = 200;
export const archiveRatioFreeBytes = 16 * 1024 * 1024;
export const httpResponseBytesMax = 10 * 1024 * 1024;
export const httpDownloadBytesMax = 2 * 1024 * 1024 * 1024;
export const httpRedirectsMax = 5;
export const httpHeaderCountMax = 64;
/** Time for which a file must not change before its arrival is reported, unless the workspace says otherwise. */
export const settleMsDefault = 500;
/** Time between two looks at a watched folder, in case the system's notice was lost. */
export const rescanMs = 2000;
export const everyMsMin = 1000;
/** Parts of one command, its program counted. */
export const commandArgumentsMax = 256;
export const commandStdinLengthMax = 1024 * 1024;
/** Of a command's output, its beginning and its end stand in the result; the whole is kept as a blob up to `commandOutputBytesMax`. */
export const commandOutputHeadBytes = 48 * 1024;
export const commandOutputTailBytes = 16 * 1024;
export const commandOutputBytesMax = 64 * 1024 * 1024;
/** Characters of output in progress and faults. */
export const commandExcerptLength = 800;
/** From asking a command to end until it is ended; less than the engine waits for its answer. */
export const commandKillGraceMs = 1000;
export const environmentVariablesMax = 64;
export const environmentValueLengthMax = 8192;
export const processesListedMax = 4096;
/** Runs that policy `all` catches up on at once; times before the last of them are told as missed. */
export const catchUpRunsMax = 1000;

/** A remembered value, as deterministic CBOR: half of what a step may return, so that it can be recalled whatever form it takes. */
export const memoryValueBytesMax = 256 * 1024;
