export const openAI = {
  provider: 'openAI',
  model: 'claude-sonnet-4',
  apiKey: 'unused',
  configuration: { baseURL: 'http://127.0.0.1:3456/v1' },
  streaming: true,
  streamUsage: true,
};
export const responses = { ...openAI, useResponsesApi: true };
export const anthropic = {
  provider: 'anthropic',
  model: 'claude-sonnet-4',
  apiKey: 'unused',
  anthropicApiUrl: 'http://127.0.0.1:3456',
  streaming: true,
  streamUsage: true,
};
export const thinking = { ...anthropic, maxTokens: 8192, thinking: { type: 'enabled', budget_tokens: 2000 } };
