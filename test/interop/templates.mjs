/**
 * Renders conversations with chat templates, for check_templates.py: reads a job with templates, files of the model and
 * conversations; writes the rendered texts, without and with the generation prompt, or the message of the error.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { Tokenizer } from 'webalign/data';
import { InputError, memoryFiles } from 'webalign/files';

/**
 * @typedef {object} Job
 * @property {Record<string, string>} templates
 * @property {Record<string, string>} files
 * @property {import('webalign/data').Message[][]} conversations
 */

const [input = '', output = ''] = process.argv.slice(2);
/** @type {Job} */
const { templates, files, conversations } = JSON.parse(readFileSync(input, 'utf8'));
/** @type {Record<string, object[][]>} */
const rendered = {};
for (const [name, source] of Object.entries(templates)) {
  const tokenizer = await Tokenizer.fromFiles(memoryFiles({ ...files, 'chat_template.jinja': source }, name));
  rendered[name] = conversations.map((messages) =>
    [false, true].map((addGenerationPrompt) => {
      try {
        return { text: tokenizer.applyChatTemplate(messages, { addGenerationPrompt }) };
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        return { refused: error.message };
      }
    }),
  );
}
writeFileSync(output, JSON.stringify(rendered));
