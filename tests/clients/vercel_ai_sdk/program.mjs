// What the checks let Vercel's AI SDK do.

import { generateText, isStepCount, Output, streamText, tool } from 'ai';
import { z } from 'zod';
import { model, responsesModel } from './connect.mjs';
import { serve } from './harness.mjs';

const pixel =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==';
const schema = z.object({ name: z.string(), age: z.int() });
const tools = {
  weather: tool({
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `${city === 'Zürich' ? 21 : 9} in ${city}`,
  }),
  warmest: tool({
    inputSchema: z.object({ a: z.int(), b: z.int() }),
    execute: async ({ a, b }) => `${Math.max(a, b)}`,
  }),
};
const content = (text) => [{ type: 'text', text }, { type: 'image', image: pixel, mediaType: 'image/png' }];

/** What a model can be asked, by the names of the scenarios. */
function functions(model) {
  const agent = { model, tools, stopWhen: isStepCount(10) };

  async function streamed({ text }) {
    const pieces = [];
    for await (const piece of streamText({ model, prompt: text }).textStream) pieces.push(piece);
    return pieces;
  }

  async function usage({ text }) {
    const used = await streamText({ model, prompt: text }).usage;
    return { input: used.inputTokens, cached: used.inputTokenDetails.cacheReadTokens, output: used.outputTokens };
  }

  async function turns({ texts }) {
    const messages = [];
    const answers = [];
    for (const content of texts) {
      messages.push({ role: 'user', content });
      const { text, response } = await generateText({ model, instructions: 'Be brief.', messages });
      messages.push(...response.messages);
      answers.push(text);
    }
    return answers;
  }

  async function plan_limit({ text }) {
    try {
      await generateText({ model, prompt: text });
    } catch (error) {
      const last = error.lastError ?? error;
      if (last.statusCode) return last.statusCode;
      throw error;
    }
  }

  return {
    whole: async ({ text }) => (await generateText({ model, prompt: text })).text,
    streamed,
    usage,
    turns,
    tools: async ({ text }) => (await generateText({ ...agent, prompt: text })).text,
    streamed_tools: async ({ text }) => await streamText({ ...agent, prompt: text }).text,
    structured: async ({ text }) =>
      (await generateText({ model, prompt: text, output: Output.object({ schema }) })).output,
    image: async ({ text }) =>
      (await generateText({ model, messages: [{ role: 'user', content: content(text) }] })).text,
    plan_limit,
  };
}

const byResponses = Object.entries(functions(responsesModel)).map(([name, run]) => [`responses_${name}`, run]);
await serve({ ...functions(model), ...Object.fromEntries(byResponses) });
