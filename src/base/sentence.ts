/**
 * Sentences that mention settings. A program calls a setting `learningRate`, the command line `--learning-rate`: an error
 * keeps the names apart from its words, and the front end that shows it decides how to write them.
 */

/** What a front end calls a setting. */
export type Wording = (name: string) => string;

/** Text, or text that mentions settings. */
export type Words = string | Sentence;

/** A setting's name inside a sentence. */
class SettingName {
  constructor(readonly name: string) {}
}

export class Sentence {
  constructor(readonly parts: readonly (string | SettingName)[]) {}

  /** The text; settings have their own names unless `word` has others. */
  toString(word: Wording = (name) => name): string {
    return this.parts.map((part) => (typeof part === 'string' ? part : word(part.name))).join('');
  }
}

/** Mentions a setting in a {@link say}. */
export function setting(name: string): SettingName {
  return new SettingName(name);
}

/** A sentence: `` say`${setting('beta')} is ${value}` ``. */
export function say(texts: TemplateStringsArray, ...values: (Words | SettingName | number)[]): Sentence {
  const parts = texts.flatMap((text, i) => [text, ...(i < values.length ? partsOf(values[i] as Words) : [])]);
  return new Sentence(parts);
}

/** Several settings in a row: `beta, maxLength`. */
export function settings(names: readonly string[]): Sentence {
  return new Sentence(names.flatMap((name, i) => [i === 0 ? '' : ', ', new SettingName(name)]));
}

function partsOf(value: Words | SettingName | number): Sentence['parts'] {
  if (value instanceof Sentence) return value.parts;
  return [value instanceof SettingName ? value : String(value)];
}
