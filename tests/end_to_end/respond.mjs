// Works with a tool through OpenAI's Node client and the Responses API; prints what it got, as one line of JSON.
//     node respond.mjs BASE_URL MODEL whole|streamed PACKAGES

import { pathToFileURL } from 'node:url';

const [base, model, mode, packages] = process.argv.slice(2);
const { default: OpenAI } = await import(pathToFileURL(`${packages}/openai/index.mjs`));
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'not-needed', maxRetries: 0 });

const tools = [{ type: 'function', name: 'look', parameters: { type: 'object', properties: {} }, strict: false }];
const texts = [];
const kinds = [];
let input = 'work';
let previous;

while (input.length) {
  const asked = { model, input, tools, previous_response_id: previous, reasoning: { summary: 'auto' } };
  const response = mode === 'streamed' ? await streamed(asked) : await client.responses.create(asked);
  previous = response.id;
  texts.push(response.output_text);
  kinds.push(response.output.map((item) => item.type));
  input = response.output
    .filter((item) => item.type === 'function_call')
    .map((item) => ({ type: 'function_call_output', call_id: item.call_id, output: item.arguments }));
}
const stored = await client.responses.retrieve(previous);
console.log(JSON.stringify({ texts, kinds, same: stored.output_text === texts.at(-1) }));

async function streamed(asked) {
  const stream = client.responses.stream(asked);
  let text = '';
  stream.on('response.output_text.delta', (event) => { text += event.delta; });
  const response = await stream.finalResponse();
  if (text !== response.output_text) throw new Error(`${text} is not ${response.output_text}`);
  return response;
}
