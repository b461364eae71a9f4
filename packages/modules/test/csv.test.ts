import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decimal, decimalText } from "@writ/core/value";
import { bench } from "./support.ts";

const sumOf = async (content: string | Uint8Array, column = "amount") => {
  using b = bench();
  b.file("inbox/i.csv", content);
  return (await b.do("csv.aggregate", { path: "inbox/i.csv", column })).result;
};
const faultOf = (content: string | Uint8Array, column = "amount") =>
  sumOf(content, column).then(
    () => {
      throw new Error("no fault");
    },
    (error: unknown) => error,
  );

test("V1 V2 delimiters, quotes, byte order marks and line ends are recognised", async () => {
  for (const [content, sum] of [
    ["number,amount\n1,0.10\n2,0.20\n", "0.3"],
    ["number;amount\r\n1;0,10\r\n2;0,20\r\n", "0.3"],
    ["number\tamount\n1\t0.1\n2\t0.2", "0.3"],
    ["number|amount\n1|0.1\n2|0.2", "0.3"],
    ["\ufeffamount;number\n1 234,50;a\n", "1234.5"],
    ["sep=;\namount;number\n1,5;a\n", "1.5"],
    ['number,amount\n"a,b;c\nd ""e""","1,234.56"\n', "1234.56"],
    ["amount\n5\n\n\n6\n", "11"],
    ["amount\n1,5\n2,25\n", "3.75"],
    [Buffer.from("\ufeffnumber;amount\n1;2,5\n", "utf16le"), "2.5"],
    [Buffer.from("libell\xe9;amount\nCaf\xe9;1\xa0234,50 \x80\n", "latin1"), "1234.5"],
  ] as const) {
    expect((await sumOf(content))["sum"], JSON.stringify(content)).toBe(sum);
  }
});

test("V3 V4 V5 amounts as people write them are exact", async () => {
  for (const [cells, sum] of [
    [["1 234,56", "1\u00a0000,00", "1\u202f000\u202f000,01"], "1002234.57"],
    [["1.234,56", "7,00"], "1241.56"],
    [["1,234.56", "-0.56"], "1234"],
    [["1'234.50", "(34.50)"], "1200"],
    [["€1,234.50", "-€0.50", "EUR 1.00", "1.00 EUR", "−2.00"], "1234"],
    [["1,234", "0.5"], "1234.5"],
    [["1,234", "1,5"], "2.734"],
    [["99999999999999999999999999.99", "0.01"], "100000000000000000000000000"],
  ] as const) {
    const content = `number\tamount\n${cells.map((cell) => `x\t"${cell}"`).join("\n")}\n`;
    expect((await sumOf(content))["sum"], cells.join(" | ")).toBe(sum);
  }
});

test("V3 a column that means two things is a fault, not a guess", async () => {
  expect(await faultOf('number,amount\n1,"1,234"\n2,"5"\n')).toMatchObject({
    code: "csv.ambiguous-decimal",
    facts: { text: "1,234", row: 2 },
  });
  expect(await faultOf('number;amount\n1;"1,5"\n2;"1.5"\n')).toMatchObject({
    code: "csv.not-a-number",
    message: expect.stringContaining("another decimal sign"),
  });
});

test("V6 bad tables name the row, the text and what there is", async () => {
  expect(await faultOf("")).toMatchObject({ code: "csv.empty" });
  expect(await faultOf("number,amount\n")).toMatchObject({ code: "csv.empty" });
  expect(await faultOf("number,amuont\n1,2\n")).toMatchObject({
    code: "csv.column-missing",
    facts: { columns: ["number", "amuont"], closest: "amuont" },
  });
  expect(await faultOf("number,amount\n1,2\n2,abc\n")).toMatchObject({
    code: "csv.not-a-number",
    facts: { row: 3, text: "abc" },
  });
  expect(await faultOf("number,amount\n1,2\n2\n")).toMatchObject({
    code: "csv.malformed",
    facts: { row: 3 },
  });
  expect(await faultOf('number,amount\n1,"2\n')).toMatchObject({ code: "csv.malformed" });
  expect(await faultOf("amount,amount\n1,2\n")).toMatchObject({ code: "csv.column-ambiguous" });
  expect(await faultOf("number,amount\n1,-1000000000001\n")).toMatchObject({
    code: "csv.out-of-range",
    facts: { row: 2 },
  });
  expect(await faultOf("number,amount\n1,$5\n")).toMatchObject({
    code: "csv.wrong-currency",
    facts: { found: "USD" },
  });
  expect(await faultOf("number,total\n1,€5\n2,$5\n", "total")).toMatchObject({ code: "csv.wrong-currency" });
});

test("V7 headings are found by case, accents and the workspace's aliases", async () => {
  expect((await sumOf("Amount\n5\n"))["sum"]).toBe("5");
  expect((await sumOf("Montant\n5\n"))["sum"]).toBe("5");
  expect((await sumOf("total ttc\n5\n"))["sum"]).toBe("5");
  expect((await sumOf("Référence;Montant\nx;5,5\n"))["sum"]).toBe("5.5");
});

test("V8 read_table says what the file holds", async () => {
  using b = bench();
  b.file("inbox/i.csv", "Libellé;Montant\r\na;1,50\r\nb;2,00\r\n");
  expect((await b.do("csv.read_table", { path: "inbox/i.csv" })).result).toMatchObject({
    columns: ["Libellé", "Montant"],
    rowCount: 2,
    delimiter: ";",
    decimalSeparator: ",",
    encoding: "utf-8",
  });
});

test("V4 what begins with a zero has no thousands", async () => {
  expect((await sumOf("n;amount\n1;0.500\n2;0.250\n"))["sum"]).toBe("0.75");
  expect((await sumOf("n;amount\n1;0,500\n2;1.234,5\n"))["sum"]).toBe("1235");
  expect(await faultOf("n;amount\n1;0.500\n2;1,5\n")).toMatchObject({ code: "csv.not-a-number" });
});

test("V3 sums of any amounts equal an exact reference, in both conventions", async () => {
  const cents = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n });
  await fc.assert(
    fc.asyncProperty(
      fc.array(cents, { minLength: 1, maxLength: 20 }),
      fc.boolean(),
      async (amounts, isComma) => {
        const cells = amounts.map((each) => {
          const fixed = fixedCents(each);
          const [whole = "", fraction = ""] = fixed.split(".");
          const groups = whole.replace(/\B(?=(\d{3})+$)/g, isComma ? "\u202f" : ",");
          return `x\t${groups}${isComma ? "," : "."}${fraction}`;
        });
        const content = `number\tvalue\n${cells.join("\n")}\n`;
        const expected = amounts.reduce((sum, each) => sum + each, 0n);
        expect((await sumOf(content, "value"))["sum"]).toBe(decimalText(decimal(fixedCents(expected))));
      },
    ),
    { numRuns: 40 },
  );
});

test("V9 append_row quotes, keeps the file's ways and disarms formulas", async () => {
  using b = bench();
  await b.do("csv.append_row", {
    path: "j.csv",
    values: ['a"b', "c,d", decimal("12.50"), -3, true, null, "=1+1", "-5", "@x", " s"],
  });
  expect(readFileSync(join(b.root, "j.csv"), "utf8")).toBe(`"a""b","c,d",12.5,-3,true,,'=1+1,-5,'@x," s"\n`);
  b.file("k.csv", "a;b\r\n1;2");
  await b.do("csv.append_row", { path: "k.csv", values: ["x,y", "z;"] });
  expect(readFileSync(join(b.root, "k.csv"), "utf8")).toBe('a;b\r\n1;2\r\nx,y;"z;"\r\n');
  b.file("l.csv", Buffer.from("pr\xe9nom;a\n", "latin1"));
  await b.do("csv.append_row", { path: "l.csv", values: ["é", "€"] });
  expect([...readFileSync(join(b.root, "l.csv")).subarray(-5)]).toEqual([10, 0xe9, 59, 0x80, 10]);
  await expect(b.do("csv.append_row", { path: "l.csv", values: ["漢"] })).rejects.toMatchObject({
    code: "filesystem.not-encodable",
  });
  for (const value of [{ a: 1 }, [1], new Uint8Array(1)]) {
    await expect(b.do("csv.append_row", { path: "j.csv", values: [value] })).rejects.toMatchObject({
      code: "csv.not-a-cell",
    });
  }
});

/** Hundredths as text with two decimals. */
function fixedCents(cents: bigint): string {
  const digits = String(cents < 0n ? -cents : cents).padStart(3, "0");
  return `${cents < 0n ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
