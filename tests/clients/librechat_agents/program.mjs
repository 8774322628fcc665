// What the checks let LibreChat's agents do.

import { createContentAggregator, GraphEvents, ModelEndHandler, Run, TitleMethod, ToolEndHandler } from '@librechat/agents';
import { HumanMessage, SystemMessage } from '@librechat/agents/langchain/messages';
import { tool } from '@librechat/agents/langchain/tools';
import { anthropic, openAI, responses, thinking } from './connect.mjs';
import { serve } from './harness.mjs';

const pixel =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==';
const schema = (types) => ({
  type: 'object',
  properties: Object.fromEntries(Object.entries(types).map(([name, type]) => [name, { type }])),
  required: Object.keys(types),
});
const tools = [
  tool(async ({ city }) => `${city === 'Zürich' ? 21 : 9} in ${city}`, {
    name: 'weather', description: 'Tell the weather of a city.', schema: schema({ city: 'string' }),
  }),
  tool(async ({ a, b }) => `${Math.max(a, b)}`, {
    name: 'warmest', description: 'Tell the higher of two temperatures.', schema: schema({ a: 'integer', b: 'integer' }),
  }),
];
const said = (content) => (typeof content === 'string' ? content : content.map((part) => part.text ?? '').join(''));
let number = 0;

/** What an agent can be asked, by the names of the scenarios. */
function functions(llmConfig) {
  async function run(messages, { tools = [], instructions, signal, onPiece = () => {} } = {}) {
    const pieces = [];
    const usage = [];
    const { contentParts, aggregateContent } = createContentAggregator();
    const aggregate = { handle: (event, data) => aggregateContent({ event, data }) };
    const agent = await Run.create({
      runId: `run-${++number}`,
      graphConfig: { type: 'standard', llmConfig, tools, instructions },
      returnContent: true,
      customHandlers: {
        [GraphEvents.CHAT_MODEL_END]: new ModelEndHandler(usage),
        [GraphEvents.TOOL_END]: new ToolEndHandler(),
        [GraphEvents.ON_RUN_STEP]: aggregate,
        [GraphEvents.ON_RUN_STEP_DELTA]: aggregate,
        [GraphEvents.ON_RUN_STEP_COMPLETED]: aggregate,
        [GraphEvents.ON_MESSAGE_DELTA]: {
          handle(event, data) {
            aggregateContent({ event, data });
            pieces.push(said(data.delta.content));
            onPiece(pieces.at(-1));
          },
        },
      },
    });
    const config = { configurable: { thread_id: 'one' }, streamMode: 'values', version: 'v2', signal };
    await agent.processStream({ messages }, config);
    return { agent, pieces, usage, parts: contentParts, messages: agent.getRunMessages() };
  }
  const last = ({ messages }) => said(messages.at(-1).content);
  const ask = (text, more) => run([new HumanMessage(text)], more);

  async function turns({ texts }) {
    const messages = [];
    const answers = [];
    for (const text of texts) {
      messages.push(new HumanMessage(text));
      const done = await run(messages, { instructions: 'Be brief.' });
      messages.push(...done.messages);
      answers.push(last(done));
    }
    return answers;
  }

  async function image({ text }) {
    const parts = [{ type: 'text', text }, { type: 'image_url', image_url: { url: pixel } }];
    return last(await run([new HumanMessage({ content: parts })]));
  }

  async function usage({ text }) {
    const [used] = (await ask(text)).usage;
    return { input: used.input_tokens, cached: used.input_token_details?.cache_read, output: used.output_tokens };
  }

  async function title({ text, method }) {
    const { agent, parts: contentParts } = await ask(text);
    const { provider, streaming, ...clientOptions } = llmConfig;
    const asked = { provider, clientOptions, inputText: text, contentParts, skipLanguage: true };
    return (await agent.generateTitle({ ...asked, titleMethod: TitleMethod[method] })).title;
  }

  async function stop({ text }) {
    const stopping = new AbortController();
    const heard = [];
    const onPiece = (piece) => {
      heard.push(piece);
      stopping.abort();
    };
    await ask(text, { signal: stopping.signal, onPiece }).catch(() => {});
    return heard.length;
  }

  async function plan_limit({ text }) {
    try {
      return last(await ask(text));
    } catch (error) {
      return error.status ?? `${error}`;
    }
  }

  return {
    whole: async ({ text }) => last(await ask(text)),
    streamed: async ({ text }) => (await ask(text)).pieces,
    usage,
    turns,
    streamed_tools: async ({ text }) => last(await ask(text, { tools, instructions: 'Be brief.' })),
    image,
    title,
    stop,
    plan_limit,
  };
}

const named = (name, config) =>
  Object.entries(functions(config)).map(([key, run]) => [`${name}_${key}`, run]);
await serve({
  ...functions(openAI),
  ...Object.fromEntries([...named('responses', responses), ...named('messages', anthropic), ...named('thinking', thinking)]),
});
