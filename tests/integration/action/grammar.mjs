// GitHub's own reading of workflows and actions: a line of JSON in for each question, a line of JSON out for what it
// objects to.
//
// {"documents": {name: text}, "files": {path: text}, "actions": {"owner/repo[/path]": text}}: what is checked (a name
// decides whether it is a workflow or an action), what `./` and `$/` lead to, and what other repositories hold.
// {"expressions": [text, …]} evaluates instead.
import { register } from "node:module";
import { createInterface } from "node:readline";

// Its modules import JSON without saying so, which Node refuses up to version 22.
const hook = `import { readFile } from "node:fs/promises";
export async function load(url, context, next) {
  if (!url.endsWith(".json")) return next(url, context);
  return { format: "module", shortCircuit: true, source: "export default " + (await readFile(new URL(url), "utf8")) };
}`;
register("data:text/javascript," + encodeURIComponent(hook));

const { validate } = await import("@actions/languageservice");
const { clearCache } = await import("@actions/languageservice/utils/workflow-cache");
const { Evaluator, Lexer, Parser } = await import("@actions/expressions");
const { DescriptionDictionary } = await import("@actions/expressions");
const { TextDocument } = await import("vscode-languageserver-textdocument");
const { parse } = await import("yaml");

function found(content, name) {
  if (content === undefined) throw new Error(`no such file: ${name}`);
  return { name, content };
}

function around(given) {
  return {
    fileProvider: {
      getFileContent: async (ref) => {
        const path = ref.path.replace(/^\/+/, "");
        return "repository" in ref ? found(given.actions?.[`${ref.owner}/${ref.repository}/${path}`], path) : found(given.files?.[path], path);
      },
    },
    actionsMetadataProvider: {
      fetchActionMetadata: async (ref) => {
        const text = given.actions?.[[ref.owner, ref.name, ref.path].filter(Boolean).join("/")];
        // an action that is not handed in is somebody else's, and anything may be given to it
        return text === undefined ? { name: ref.name, description: "" } : parse(text);
      },
    },
  };
}

async function answered(given) {
  const answer = {};
  if (given.expressions) {
    answer.values = given.expressions.map((text) => {
      const tree = new Parser(new Lexer(text).lex().tokens, [], []).parse();
      return new Evaluator(tree, new DescriptionDictionary()).evaluate().coerceString();
    });
  }
  for (const [name, text] of Object.entries(given.documents ?? {})) {
    const document = TextDocument.create(`file:///${name}`, "yaml", 0, text);
    answer[name] = (await validate(document, around(given))).map((each) => `${each.range.start.line + 1}: ${each.message}`);
  }
  return answer;
}

for await (const line of createInterface({ input: process.stdin })) {
  clearCache(); // by name, under which another question has another text
  process.stdout.write(JSON.stringify(await answered(JSON.parse(line))) + "\n");
}
