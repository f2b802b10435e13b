// Prism's servers as its command line begins them, all in one process: to load it takes three seconds.
//
// Each argument is JSON of one: its `document`, its `port`, and the `upstream` that it passes requests on to; without
// that it answers itself.
const { createSingleProcessPrism } = require("@stoplight/prism-cli/dist/util/createServer");

const usual = { host: "127.0.0.1", cors: true, errors: false, multiprocess: false, verboseLevel: "info" };
const answering = { dynamic: false, ignoreExamples: false, seed: null };

async function begin({ document, port, upstream }) {
  const own = upstream ? { upstream: new URL(upstream), validateRequest: true } : answering;
  await createSingleProcessPrism({ ...usual, ...own, document, port });
}

Promise.all(process.argv.slice(2).map((given) => begin(JSON.parse(given)))).catch((error) => {
  console.error(error);
  process.exit(1);
});
