// What the checks let OpenAI's client for Node do.

import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
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

async function plan_limit({ text }) {
  try {
    await ask([user(text)]);
  } catch (error) {
    if (error instanceof OpenAI.RateLimitError) return error.status;
    throw error;
  }
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
  plan_limit,
  models: async () => (await client.models.list()).data.map(({ id }) => id),
});
