"""Reads story files and splits them: the last stories of the real file are held out.

Shared by the other scripts; writes nothing.
"""
import re
from pathlib import Path

HELD_OUT = 0.08  # of the stories, taken from the end of the file


def real_stories(path):
    """(training stories, held-out stories) of a file with <|endoftext|> between stories."""
    stories = [s.strip() for s in Path(path).read_text(encoding="utf-8").split("<|endoftext|>")]
    stories = [s for s in stories if s]
    kept = round(len(stories) * (1 - HELD_OUT))
    return stories[:kept], stories[kept:]


def sampled_stories(paths):
    """[(story, finished)] of the files that teacher.py wrote; a last story without a mark is left out."""
    stories = []
    for path in paths:
        text = Path(path).read_text(encoding="utf-8")
        stories += [(s.strip(), mark == "endoftext") for s, mark in re.findall(r"(.*?)\n<\|(endoftext|cut)\|>\n", text, re.S)]
    return stories
