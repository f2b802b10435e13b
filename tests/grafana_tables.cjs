// The transformations of panels, by Grafana's own code: reads [{frames, transformations}] from standard input, writes
// what becomes of each as [[{columns, rows}]]. The library expects a browser; what it asks of one at its start is here.
const { readFileSync } = require("fs");

globalThis.window = globalThis;
globalThis.location = { href: "http://localhost/", pathname: "/", search: "", hash: "" };
globalThis.localStorage = { getItem: () => null, setItem: () => undefined };
const element = () => ({ style: {}, setAttribute() {}, appendChild() {}, getContext: () => null });
globalThis.document = {
  addEventListener() {},
  createElement: element,
  querySelector: () => null,
  body: element(),
  documentElement: element(),
};

const grafana = require("@grafana/data");
const { firstValueFrom } = require("rxjs");

const known = new Map(Object.values(grafana.standardTransformers).map((one) => [one.id, one]));
grafana.standardTransformersRegistry.setInit(() =>
  [...known.values()].map((one) => ({ id: one.id, name: one.name, transformation: one, editor: () => null })),
);

async function transformed({ frames, transformations }) {
  const given = frames.map((frame) => grafana.toDataFrame(frame));
  const found = await firstValueFrom(grafana.transformDataFrame(transformations, given));
  return found.map((frame) => ({
    columns: frame.fields.map((field) => grafana.getFieldDisplayName(field, frame, found)),
    rows: Array.from({ length: frame.length }, (_, row) => frame.fields.map((field) => field.values[row])),
  }));
}

Promise.all(JSON.parse(readFileSync(0, "utf8")).map(transformed))
  .then((all) => process.stdout.write(JSON.stringify(all)))
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
