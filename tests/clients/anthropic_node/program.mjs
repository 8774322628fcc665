// What the checks let Anthropic's client for Node do.

import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';
import { client, model } from './connect.mjs';
import { serve } from './harness.mjs';

const pixel =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==';
const Person = z.object({ name: z.string(), age: z.int() });
const tools = [
  betaZodTool({
    name: 'weather',
    description: 'Tell the weather of a city.',
    inputSchema: z.object({ city: z.string() }),
    run: ({ city }) => `${city === 'Zürich' ? 21 : 9} in ${city}`,
  }),
  betaZodTool({
    name: 'warmest',
    description: 'Tell the higher of two temperatures.',
    inputSchema: z.object({ a: z.int(), b: z.int() }),
    run: ({ a, b }) => `${Math.max(a, b)}`,
  }),
];
const asked = (content) => ({ model, max_tokens: 4000, messages: [{ role: 'user', content }] });
const ask = async (content) => (await client.messages.create(asked(content))).content[0].text;

async function streamed({ text }) {
  const pieces = [];
  const stream = client.messages.stream(asked(text));
  stream.on('text', (delta) => pieces.push(delta));
  await stream.finalMessage();
  return pieces;
}

async function usage({ text }) {
  const { usage } = await client.messages.stream(asked(text)).finalMessage();
  const cached = usage.cache_read_input_tokens;
  const input = usage.input_tokens + cached + usage.cache_creation_input_tokens;
  return { input, cached, output: usage.output_tokens };
}

async function turns({ texts }) {
  const messages = [];
  for (const content of texts) {
    messages.push({ role: 'user', content });
    const reply = await client.messages.create({ ...asked(''), system: 'Be brief.', messages });
    messages.push({ role: 'assistant', content: reply.content });
  }
  return messages.filter(({ role }) => role === 'assistant').map(({ content }) => content[0].text);
}

async function streamedTools({ text }) {
  let message;
  for await (const stream of client.beta.messages.toolRunner({ ...asked(text), tools, stream: true })) {
    message = await stream.finalMessage();
  }
  return message.content.at(-1).text;
}

async function planLimit({ text }) {
  try {
    await ask(text);
  } catch (error) {
    if (error instanceof Anthropic.RateLimitError) return error.status;
    throw error;
  }
}

await serve({
  messages_whole: ({ text }) => ask(text),
  messages_streamed: streamed,
  messages_usage: usage,
  messages_turns: turns,
  messages_tools: async ({ text }) =>
    (await client.beta.messages.toolRunner({ ...asked(text), tools })).content.at(-1).text,
  messages_streamed_tools: streamedTools,
  messages_structured: async ({ text }) =>
    (await client.messages.parse({ ...asked(text), output_config: { format: zodOutputFormat(Person) } })).parsed_output,
  messages_image: ({ text }) =>
    ask([
      { type: 'text', text },
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: pixel } },
    ]),
  messages_plan_limit: planLimit,
});
