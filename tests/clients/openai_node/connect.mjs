import OpenAI from 'openai';

export const client = new OpenAI({ baseURL: 'http://127.0.0.1:3456/v1', apiKey: 'unused' });
export const model = 'claude-sonnet-4';
