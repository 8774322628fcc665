import Anthropic from '@anthropic-ai/sdk';

export const client = new Anthropic({ baseURL: 'http://127.0.0.1:3456', apiKey: 'unused' }); // no /v1 here
export const model = 'claude-sonnet-4';
