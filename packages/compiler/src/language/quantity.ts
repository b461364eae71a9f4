// Units and currencies by name. Codes are UCUM's (https://ucum.org) or ISO 4217's; factors to the dimension's base unit are exact decimals.
import { decimal, decimalText } from "@writ/core/value";

export interface Unit {
  readonly code: string;
  readonly dimension: string;
  /** Amount of the base unit in one of this unit; null where conversion is no mere factor. */
  readonly factor: string | null;
  readonly words: Readonly<Record<"en" | "fr", readonly string[]>>;
}

const unit = (code: string, dimension: string, factor: string | null, en: string, fr: string): Unit => ({
  code,
  dimension,
  factor,
  words: { en: en.split("|"), fr: fr.split("|") },
});

/** The first word is the one that is written. */
export const units: readonly Unit[] = [
  unit("Cel", "temperature", null, "°C|celsius", "°C|celsius"),
  unit("[degF]", "temperature-f", null, "°F|fahrenheit", "°F|fahrenheit"),
  unit("%", "ratio", "1", "%|percent", "%|pourcent"),
  unit("mg", "mass", "0.001", "mg", "mg"),
  unit("g", "mass", "1", "g|gram|grams", "g|gramme|grammes"),
  unit("kg", "mass", "1000", "kg|kilogram|kilograms", "kg|kilogramme|kilogrammes"),
  unit("t", "mass", "1000000", "t|tonne|tonnes", "t|tonne|tonnes"),
  unit("mm", "length", "0.001", "mm", "mm"),
  unit("cm", "length", "0.01", "cm", "cm"),
  unit("m", "length", "1", "m|metre|metres|meter|meters", "m|mètre|mètres"),
  unit("km", "length", "1000", "km", "km"),
  unit("mL", "volume", "0.001", "mL", "mL"),
  unit("L", "volume", "1", "L|litre|litres|liter|liters", "L|litre|litres"),
  unit("Pa", "pressure", "1", "Pa", "Pa"),
  unit("kPa", "pressure", "1000", "kPa", "kPa"),
  unit("bar", "pressure", "100000", "bar", "bar|bars"),
  unit("W", "power", "1", "W|watt|watts", "W|watt|watts"),
  unit("kW", "power", "1000", "kW", "kW"),
  unit("By", "data", "1", "bytes|byte|B", "octets|octet|o"),
  unit("kBy", "data", "1000", "kB", "ko"),
  unit("MBy", "data", "1000000", "MB", "Mo"),
  unit("GBy", "data", "1000000000", "GB", "Go"),
];

const currencyWords: Readonly<Record<string, Readonly<Record<"en" | "fr", string>>>> = {
  EUR: { en: "€|euro|euros", fr: "€|euro|euros" },
  USD: { en: "$|dollar|dollars", fr: "$|dollar|dollars" },
  CAD: { en: "$|dollar|dollars", fr: "$|dollar|dollars" },
  AUD: { en: "$|dollar|dollars", fr: "$|dollar|dollars" },
  GBP: { en: "£|pound|pounds", fr: "£|livre|livres" },
  JPY: { en: "¥|yen", fr: "¥|yen|yens" },
  CHF: { en: "franc|francs", fr: "franc|francs" },
};

/** Currency codes that are always understood; symbols and names only for currencies of the workspace. */
export const currencyCodes: readonly string[] =
  "AED AUD BGN BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF ILS INR JPY KRW MAD MXN NOK NZD PLN RON SAR SEK SGD THB TRY TWD USD ZAR".split(
    " ",
  );

export function wordsOfCurrency(code: string, language: "en" | "fr"): readonly string[] {
  return Object.hasOwn(currencyWords, code) ? (currencyWords[code]?.[language].split("|") ?? []) : [];
}

export function isCurrency(code: string): boolean {
  return /^[A-Z]{3}$/.test(code);
}

/** What may be compared with what: a currency is its own dimension. */
export function dimensionOf(code: string): string {
  if (isCurrency(code)) return code;
  return units.find((known) => known.code === code)?.dimension ?? code;
}

/** The value in another unit of the same dimension, exactly; null when the dimensions differ or no exact factor exists. */
export function convert(value: string, from: string, to: string): string | null {
  if (from === to) return value;
  if (isCurrency(from) || isCurrency(to)) return null;
  const source = units.find((known) => known.code === from);
  const target = units.find((known) => known.code === to);
  if (source?.factor == null || target?.factor == null || source.dimension !== target.dimension) return null;
  const inBase = decimal(value).times(decimal(source.factor));
  const converted = inBase.div(decimal(target.factor));
  return converted.times(decimal(target.factor)).eq(inBase) ? decimalText(converted) : null;
}
