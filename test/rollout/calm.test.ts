/** Calm: strong words and exclamation marks lower the reward of a text, mild words do not. */
import { expect } from 'chai';
import { calm } from '../../src/rollout/calm.ts';

describe('rollout: calm', () => {
  const CASES: Record<string, [text: string, value: number]> = {
    'an empty text': ['', 0],
    'mild words, glad and sad': ['They liked to play and helped a friend. He cried.', 0],
    'strong words, glad and sad': ['She was happy. He was angry. It was FUN.', -3],
    'exclamation marks, with any words': ['No! Stop！ Go!!', -4],
    'strong words and marks': ['Tim loved it!', -2],
    'a name that is a word of the list': ['Joy went home.', 0],
  };
  for (const [name, [text, value]] of Object.entries(CASES)) {
    it(name, () => expect(calm(text)).to.equal(value));
  }
});
