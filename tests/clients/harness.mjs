// Lets a program do what it is asked: each line of standard input names a function of it, and its arguments.
// Copied beside a client's own files.

import { createInterface } from 'node:readline';

/** Call functions as they are asked for, and print what each gives as JSON. */
export async function serve(functions) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, args] = JSON.parse(line);
    let answer;
    try {
      answer = { result: (await functions[name](args)) ?? null };
    } catch (error) {
      answer = { error: `${error?.constructor?.name}: ${error?.message ?? error}` };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
}
