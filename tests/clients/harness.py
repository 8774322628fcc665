"""Runs a program's functions: each line of standard input names one, and its arguments.

It is copied to a client's own files, and run with the client's own Python.
"""

import asyncio
import inspect
import json
import sys


def serve(functions):
    """Call functions and coroutines as they are asked for; print what each returns as JSON."""
    asyncio.run(_serve(functions))


async def _serve(functions):
    loop = asyncio.get_running_loop()
    answers, sys.stdout = sys.stdout, sys.stderr
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, arguments = json.loads(line)
        try:
            result = functions[name](**arguments)
            answer = {"result": await result if inspect.isawaitable(result) else result}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
