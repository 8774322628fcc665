import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';

const compatible = createOpenAICompatible({
  name: 'claude',
  baseURL: 'http://127.0.0.1:3456/v1',
  apiKey: 'unused',
  includeUsage: true,
  supportsStructuredOutputs: true,
});
export const model = compatible('claude-sonnet-4');

const openai = createOpenAI({ baseURL: 'http://127.0.0.1:3456/v1', apiKey: 'unused' });
export const responsesModel = openai('claude-sonnet-4');
