/**
 * Writes token ids, for check_tokens.py and try_tokenizers.py. A job has texts or the rows of a data file, which are prepared
 * as for a trainer. With `decode`, the decoded texts are added, with and without special tokens.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import {
  LABELLED,
  PREFERENCES,
  readDataset,
  TEXTS,
  Tokenizer,
  tokenizeCompletions,
  tokenizePairs,
  tokenizeTexts,
} from 'webalign/data';
import { folderFiles } from 'webalign/node';

/**
 * @typedef {object} Job
 * @property {string} tokenizer folder
 * @property {string[]} [texts]
 * @property {string} [file] of JSON, a list of texts
 * @property {boolean} [decode]
 * @property {string} [data] a file
 * @property {keyof typeof FORMS} [form]
 */

/** @param {string} path */
const open = (path) => folderFiles(dirname(path)).open(basename(path));

/** What a trainer prepares from rows. */
const FORMS = {
  /** @param {string} path @param {import('webalign').Tokenizer} tokenizer */
  pairs: async (path, tokenizer) =>
    tokenizePairs(await readDataset(await open(path), PREFERENCES), tokenizer).pairs,
  /** @param {string} path @param {import('webalign').Tokenizer} tokenizer */
  labels: async (path, tokenizer) => {
    const rows = await readDataset(await open(path), LABELLED);
    const columns = rows.map(({ prompt, completion, where }) => ({
      prompt,
      completions: { completion },
      where,
    }));
    return tokenizeCompletions(columns, tokenizer).examples;
  },
  /** @param {string} path @param {import('webalign').Tokenizer} tokenizer */
  texts: async (path, tokenizer) =>
    tokenizeTexts(await readDataset(await open(path), TEXTS), tokenizer).examples,
};

const [input = '', output = ''] = process.argv.slice(2);
/** @type {Job[]} */
const jobs = JSON.parse(readFileSync(input, 'utf8'));
const results = [];
for (const { tokenizer: folder, file, texts: given, decode, data, form } of jobs) {
  const tokenizer = await Tokenizer.fromFiles(folderFiles(folder));
  /** @type {string[] | undefined} */
  const texts = file ? JSON.parse(readFileSync(file, 'utf8')) : given;
  /** @param {string} text */
  const both = (text) => {
    const ids = tokenizer.encode(text);
    return [ids, tokenizer.decode(ids, { skipSpecialTokens: false }), tokenizer.decode(ids)];
  };
  if (texts) results.push(texts.map((text) => (decode ? both(text) : tokenizer.encode(text))));
  else if (data && form) results.push(await FORMS[form](data, tokenizer));
}
writeFileSync(output, JSON.stringify(results));
