import dspy


lm = dspy.LM(
    "openai/claude-sonnet-4",
    api_base="http://127.0.0.1:3456/v1",
    api_key="unused",
    cache=False,  # otherwise a question that was asked before is not asked again
    num_retries=0,  # otherwise it waits in silence until a used-up plan is reset, which can take hours
)
dspy.configure(lm=lm)
