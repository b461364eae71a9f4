// Amounts: cells that people wrote, as exact decimals.
//   V3  A cell is read with a decimal point and with a decimal comma; which of the two the column means is decided by the whole column.
//   V4  Thousands may be separated by the other sign, a space, a no-break space, a narrow no-break space or an apostrophe, in threes.
//       What begins with a zero has no thousands: `0.500` is a half, never five hundred.
//   V5  A currency sign or ISO 4217 code may stand before or after; minus may be `-`, `−` or accounting brackets.

export type Convention = "point" | "comma";

export interface Cell {
  /** ISO 4217 code that the cell names, or null. */
  readonly currency: string | null;
  /** Plain decimal text under each convention, or null where the cell is no number then. */
  readonly point: string | null;
  readonly comma: string | null;
}

const signs: Readonly<Record<string, string>> = { "€": "EUR", $: "USD", "£": "GBP", "¥": "JPY", "₹": "INR" };
const space = "[ \\u00a0\\u202f\\u2009]";
const grouped = (separator: string) => `[1-9]\\d{0,2}(?:${separator}\\d{3})+`;
const whole = (other: string) => `(?:${grouped(other)}|${grouped(space)}|${grouped("['’]")}|\\d+)`;
const pointPattern = new RegExp(`^${whole(",")}(?:\\.\\d+)?$`);
const commaPattern = new RegExp(`^${whole("\\.")}(?:,\\d+)?$`);
const currencyPattern = new RegExp(
  `^(?<before>[A-Z]{3}|[€$£¥₹])?${space}*(?<number>[^A-Za-z€$£¥₹]+?)${space}*(?<after>[A-Z]{3}|[€$£¥₹])?$`,
);

/** The cell under both conventions; both null when it is no number. */
export function readAmount(text: string): Cell {
  const none: Cell = { currency: null, point: null, comma: null };
  if (text.length > 200) return none;
  let rest = text.trim().replace(/\u2212/g, "-");
  let sign = "";
  const bracketed = /^\((.+)\)$/.exec(rest);
  if (bracketed?.[1] !== undefined) {
    sign = "-";
    rest = bracketed[1].trim();
  }
  // A sign may stand before the currency: `-€5`.
  const leading = /^([+-])\s*([A-Z€$£¥₹].*)$/.exec(rest);
  if (leading?.[2] !== undefined && sign === "") {
    sign = leading[1] === "-" ? "-" : "";
    rest = leading[2];
  }
  const match = currencyPattern.exec(rest);
  const number = match?.groups?.["number"]?.trim();
  const { before, after } = match?.groups ?? {};
  if (number === undefined || (before !== undefined && after !== undefined)) return none;
  const marked = before ?? after;
  const currency = marked === undefined ? null : (signs[marked] ?? marked);
  const signed = /^([+-]?)\s*(.+)$/.exec(number);
  const digits = signed?.[2];
  if (digits === undefined || (sign !== "" && signed?.[1] !== "")) return none;
  if (signed?.[1] === "-") sign = "-";
  const plain = (decimalSign: string) =>
    sign + digits.replace(new RegExp(`[^\\d${decimalSign}]`, "g"), "").replace(decimalSign, ".");
  return {
    currency,
    point: pointPattern.test(digits) ? plain(".") : null,
    comma: commaPattern.test(digits) ? plain(",") : null,
  };
}
