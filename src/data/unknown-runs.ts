/**
 * Fuses runs of unknown characters into one token, within a word; the JavaScript library also fuses those of neighboring
 * words.
 */

/** The parts of the library's model that are used and set here. */
export interface FusingModel {
  fuse_unk?: boolean;
  unk_token_id?: number;
  tokens_to_ids?: ReadonlyMap<string, number>;
  encode(words: string[]): string[];
}

export function fuseWithinWords(model: FusingModel): void {
  const { tokens_to_ids: ids, unk_token_id: unknown } = model;
  if (!model.fuse_unk || !ids) return;
  model.fuse_unk = false;
  const encode = model.encode.bind(model);
  const isUnknown = (token: string | undefined) =>
    token !== undefined && (ids.get(token) ?? unknown) === unknown;
  model.encode = (words) => {
    const made: string[] = [];
    for (const word of words) {
      const tokens = encode([word]);
      for (const [i, token] of tokens.entries())
        if (!(isUnknown(token) && isUnknown(tokens[i - 1]))) made.push(token);
    }
    return made;
  };
}
