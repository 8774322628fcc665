// What the checks let OpenAI's client for Node do.

import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { client, model } from './connect.mjs';
import { serve } from './harness.mjs';

const pixel =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==';
const Person = z.object({ name: z.string(), age: z.int() });

function tool(name, types, run) {
  const properties = Object.fromEntries(Object.entries(types).map(([key, type]) => [key, { type }]));
  const parameters = { type: 'object', properties, required: Object.keys(types), additionalProperties: false };
  return { type: 'function', function: { name, parameters, function: run, parse: JSON.parse } };
}

const tools = [
  tool('weather', { city: 'string' }, ({ city }) => `${city === 'Zürich' ? 21 : 9} in ${city}`),
  tool('warmest', { a: 'integer', b: 'integer' }, ({ a, b }) => `${Math.max(a, b)}`),
];
const user = (content) => ({ role: 'user', content });

async function ask(messages, more = {}) {
  const reply = await client.chat.completions.create({ model, messages, ...more });
  return reply.choices[0].message;
}

async function turns({ texts }) {
  const messages = [{ role: 'system', content: 'Be brief.' }];
  for (const text of texts) {
    messages.push(user(text));
    messages.push(await ask(messages));
  }
  return messages.filter(({ role }) => role === 'assistant').map(({ content }) => content);
}

async function streamed({ text }) {
  const pieces = [];
  const stream = client.chat.completions.stream({ model, messages: [user(text)] });
  stream.on('content', (delta) => pieces.push(delta));
  await stream.finalContent();
  return pieces;
}

async function usage({ text }) {
  const stream = client.chat.completions.stream({
    model, messages: [user(text)], stream_options: { include_usage: true },
  });
  const used = await stream.totalUsage();
  const { usage } = await stream.finalChatCompletion();
  const cached = usage.prompt_tokens_details.cached_tokens;
  return { input: used.prompt_tokens, cached, output: used.completion_tokens };
}

async function structured({ text }) {
  const format = zodResponseFormat(Person, 'person');
  const reply = await client.chat.completions.parse({ model, messages: [user(text)], response_format: format });
  return reply.choices[0].message.parsed;
}

async function limited(ask) {
  try {
    await ask();
  } catch (error) {
    if (error instanceof OpenAI.RateLimitError) return error.status;
    throw error;
  }
}

const respond = (input, more = {}) => client.responses.create({ model, input, ...more });

async function responses_streamed({ text }) {
  const pieces = [];
  const stream = client.responses.stream({ model, input: text });
  stream.on('response.output_text.delta', ({ delta }) => pieces.push(delta));
  await stream.finalResponse();
  return pieces;
}

async function responses_usage({ text }) {
  const { usage } = await client.responses.stream({ model, input: text }).finalResponse();
  const cached = usage.input_tokens_details.cached_tokens;
  return { input: usage.input_tokens, cached, output: usage.output_tokens };
}

async function responses_turns({ texts }) {
  const answers = [];
  for (const text of texts) {
    const previous_response_id = answers.at(-1)?.id;
    answers.push(await respond(text, { instructions: 'Be brief.', previous_response_id }));
  }
  return answers.map(({ output_text }) => output_text);
}

async function responses_tools({ text }) {
  const flat = tools.map(({ function: { name, parameters } }) => ({ type: 'function', name, parameters, strict: true }));
  const items = [user(text)];
  for (;;) {
    const response = await respond(items, { tools: flat, store: false });
    items.push(...response.output);
    const calls = response.output.filter(({ type }) => type === 'function_call');
    if (!calls.length) return response.output_text;
    for (const { call_id, name, arguments: text } of calls) {
      const { function: run } = tools.find((one) => one.function.name === name).function;
      items.push({ type: 'function_call_output', call_id, output: run(JSON.parse(text)) });
    }
  }
}

async function responses_structured({ text }) {
  const format = zodTextFormat(Person, 'person');
  return (await client.responses.parse({ model, input: text, text: { format } })).output_parsed;
}

const run = (stream, text) =>
  client.chat.completions.runTools({ model, messages: [user(text)], tools, stream }).finalContent();

await serve({
  whole: async ({ text }) => (await ask([user(text)])).content,
  streamed,
  usage,
  turns,
  tools: ({ text }) => run(false, text),
  streamed_tools: ({ text }) => run(true, text),
  structured,
  image: ({ text }) => ask([user([{ type: 'text', text }, { type: 'image_url', image_url: { url: pixel } }])]),
  plan_limit: ({ text }) => limited(() => ask([user(text)])),
  responses_whole: async ({ text }) => (await respond(text)).output_text,
  responses_streamed,
  responses_usage,
  responses_turns,
  responses_tools,
  responses_structured,
  responses_plan_limit: ({ text }) => limited(() => respond(text)),
  models: async () => (await client.models.list()).data.map(({ id }) => id),
});
