import { createOpenAICompatible } from '@ai-sdk/openai-compatible';

const claude = createOpenAICompatible({
  name: 'claude',
  baseURL: 'http://127.0.0.1:3456/v1',
  apiKey: 'unused',
  includeUsage: true,
  supportsStructuredOutputs: true,
});
export const model = claude('claude-sonnet-4');
