// Holds a conversation through OpenAI's Node client and prints what it got, as one line of JSON.
//     node chat.mjs BASE_URL MODEL TURNS whole|streamed

import { pathToFileURL } from 'node:url';

const [base, model, turns, mode, packages] = process.argv.slice(2);
const { default: OpenAI } = await import(pathToFileURL(`${packages}/openai/index.mjs`));
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'not-needed', maxRetries: 0 });

const messages = [{ role: 'system', content: 'Be short.' }];
const replies = [];

for (let turn = 0; turn < Number(turns); turn++) {
  messages.push({ role: 'user', content: `${mode} /turn ${turn} @file\n` });
  const reply = mode === 'streamed' ? await streamed() : await whole();
  replies.push(reply);
  messages.push({ role: 'assistant', content: reply.text });
}
console.log(JSON.stringify({ messages, replies }));

async function whole() {
  const reply = await client.chat.completions.create({ model, messages });
  const [choice] = reply.choices;
  return { text: choice.message.content, finish: choice.finish_reason, usage: reply.usage };
}

async function streamed() {
  const stream = await client.chat.completions.create({
    model, messages, stream: true, stream_options: { include_usage: true },
  });
  const reply = { text: '', finish: null, usage: null };
  for await (const chunk of stream) {
    reply.text += chunk.choices[0]?.delta.content ?? '';
    reply.finish = chunk.choices[0]?.finish_reason ?? reply.finish;
    reply.usage = chunk.usage ?? reply.usage;
  }
  return reply;
}
