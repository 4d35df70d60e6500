"""Builds the story openings that the demo asks the model to go on from, one a line.

Every opening is put together from lists of names, places, things and beginnings; no sentence
is copied from the stories. Each stops where the story may still turn out glad or sad. The
same seed gives the same file.
"""
import argparse
import random
from pathlib import Path

GIRLS = "Lily Mia Sue Anna Lucy Sara Amy Jane Emma Zoe Ella Molly Daisy Rose Kitty Mary".split()
BOYS = "Tim Tom Ben Max Sam Jack Billy Bob Timmy Leo Joe Mark Tommy Fred John Sammy".split()
ANIMALS = "dog cat bird rabbit bear frog duck fox mouse squirrel turtle fish pony lion bee monkey".split()
TRAITS = "little small young old big quiet brave shy curious clever lazy careful".split()
PLACES = ["the park", "the forest", "the beach", "the zoo", "the garden", "the farm", "the store", "the river", "school",
          "the lake", "the playground", "a big house", "the hill", "the market"]  # fmt: skip
THINGS = ["a big box", "a red ball", "a shiny rock", "a strange door", "an old hat", "a small key", "a toy car", "a blue kite",
          "a long rope", "a broken toy", "a tiny egg", "a green leaf", "a loud drum", "a soft blanket", "a bag of candy",
          "an old book", "a yellow flower", "a wooden boat", "a heavy stone", "a hidden path"]  # fmt: skip
RELATIVES = ["mom", "dad", "grandma", "grandpa", "brother", "sister", "friend"]
ACTS = ["play", "look for food", "take a walk", "climb a tree", "build a tower", "draw a picture", "bake a cake", "ride a bike",
        "fly a kite", "help in the garden", "swim", "read a book", "pick flowers", "catch a fish", "make a new friend"]  # fmt: skip


def opening(pick):
    """One opening; `pick` chooses from a list."""
    girl = pick([True, False])
    name, child = pick(GIRLS if girl else BOYS), "girl" if girl else "boy"
    her, she = ("her", "she") if girl else ("his", "he")
    trait, animal, place, thing, act, kin = map(pick, (TRAITS, ANIMALS, PLACES, THINGS, ACTS, RELATIVES))
    other = pick([n for n in GIRLS + BOYS if n != name])
    a = "an" if trait[0] in "aeiou" else "a"
    beast = "an" if animal[0] in "aeiou" else "a"
    return pick([
        f"Once upon a time, there was {a} {trait} {child} named {name}.",
        f"Once upon a time, there was {a} {trait} {animal} who lived near {place}.",
        f"Once upon a time, {a} {trait} {animal} found {thing}.",
        f"Once upon a time, {name} and {her} {kin} went to {place}.",
        f"One day, {name} went to {place} with {her} {kin}.",
        f"One day, {a} {trait} {child} named {name} found {thing}.",
        f"One day, {name} wanted to {act}.",
        f"One day, {name} saw {beast} {animal} near {place}.",
        f"{name} and {other} wanted to {act}.",
        f"{name} and {other} were at {place} when they saw",
        f"{name} had {thing}. One day,",
        f"{name} was at {place} with {her} {kin}. Suddenly,",
        f"{name} looked at {thing} and felt",
        f"{name} gave {thing} to {her} {kin}. {other} was",
        f"The {trait} {animal} looked at {name} and",
        f"When {name} came to {place}, {she} saw that",
        f"{name} opened the door and saw {thing}. {she.capitalize()} felt",
        f"{her.capitalize()} {kin} told {name} to {act}, but",
        f"In the morning, {name} asked {her} {kin} to {act}.",
        f"There was {a} {trait} {animal} in {place}. Every day it",
    ])  # fmt: skip


def main():
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--out", default="demos/align/recipe/openings.txt")
    cli.add_argument("--count", type=int, default=1500)
    cli.add_argument("--seed", type=int, default=1)
    args = cli.parse_args()
    chance, lines = random.Random(args.seed), {}
    while len(lines) < args.count:
        lines[opening(lambda options: options[int(chance.random() * len(options))])] = True
    Path(args.out).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} openings, for example: {list(lines)[:3]}")


if __name__ == "__main__":
    main()
