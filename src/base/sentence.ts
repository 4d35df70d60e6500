/**
 * Sentences that mention settings. A program calls a setting `learningRate`, the command line `--learning-rate`. An error
 * therefore stores the names separately from its text, and the front end that shows it formats them.
 */

/** Returns a front end's name for a setting. */
export type Wording = (name: string) => string;

/** Text, or text that mentions settings. */
export type Words = string | Sentence;

/** A setting's name within a sentence. */
class SettingName {
  constructor(readonly name: string) {}
}

export class Sentence {
  constructor(readonly parts: readonly (string | SettingName)[]) {}

  /** The text; settings appear under their own names unless `word` maps them. */
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

/** A list of settings: `beta, maxLength`. */
export function settings(names: readonly string[]): Sentence {
  return new Sentence(names.flatMap((name, i) => [i === 0 ? '' : ', ', new SettingName(name)]));
}

function partsOf(value: Words | SettingName | number): Sentence['parts'] {
  if (value instanceof Sentence) return value.parts;
  return [value instanceof SettingName ? value : String(value)];
}
