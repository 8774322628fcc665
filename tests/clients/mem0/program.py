"""What the checks let Mem0 do."""

from connect import memory
from harness import serve


def add(messages, user):
    """Let it find what is worth remembering; return what it remembers."""
    return [one["memory"] for one in memory.add(messages, user_id=user)["results"]]


def keep(text, user):
    """Remember a text as it is."""
    return [one["memory"] for one in memory.add(text, user_id=user, infer=False)["results"]]


def search(query, user):
    """Return the memories that are near."""
    found = memory.search(query, filters={"user_id": user}, threshold=0.0)
    return [one["memory"] for one in found["results"]]


def everything(user):
    """Return all memories of a user."""
    return [one["memory"] for one in memory.get_all(filters={"user_id": user})["results"]]


def plan_limit(text):
    """Return the status of the error."""
    try:
        return memory.add(text, user_id="ada")
    except Exception as error:
        return error.__cause__.status_code


if __name__ == "__main__":
    serve(globals())
