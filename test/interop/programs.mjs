/**
 * Short templates over the same data, for check_templates.py: reads a job of programs, their data as a row of a data set and a
 * tokenizer's files, and writes what each renders to, or the message of its refusal.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { readDataset, TEXTS, Tokenizer } from 'webalign/data';
import { InputError, memoryFiles, memorySource } from 'webalign/files';

const [input = '', output = ''] = process.argv.slice(2);
/** @type {{ programs: string[], row: string, files: Record<string, string> }} */
const { programs, row, files } = JSON.parse(readFileSync(input, 'utf8'));
// A data set keeps numbers as the file writes them.
const [data] = await readDataset(memorySource(new TextEncoder().encode(row), 'data.jsonl'), TEXTS);
if (!data || typeof data.completion === 'string') throw new Error('the data has no messages');
const { completion: messages, tools, chatTemplateKwargs } = data;
const rendered = [];
for (const source of programs) {
  try {
    const tokenizer = await Tokenizer.fromFiles(memoryFiles({ ...files, 'chat_template.jinja': source }));
    const options = { addGenerationPrompt: false, tools, chatTemplateKwargs };
    rendered.push({ text: tokenizer.applyChatTemplate(messages, options) });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    rendered.push({ refused: error.message });
  }
}
writeFileSync(output, JSON.stringify(rendered));
