/**
 * Short templates about values, numbers, line ends and undefined values, compared with transformers' Jinja. What the
 * interpreter does not support is refused, and counted; no template is rendered differently.
 */
import { expect } from 'chai';
import { ChatTemplate } from '../../src/data/chat-template.ts';
import { InputError } from '../../src/io/errors.ts';
import { parseExactJson } from '../../src/io/exact-json.ts';
import fixture from '../fixtures/programs.json' with { type: 'json' };

const data = parseExactJson(fixture.data, 'programs.json') as Record<string, unknown>;
const { messages, tools, ...chatTemplateKwargs } = data as { messages: { role: string }[]; tools: unknown[] };

/** How many of all programs Jinja renders and we refuse. */
const REFUSED = { count: 2, of: 375 };

/** What the program renders from the fixture's data; null if it is refused. */
function render(source: string): string | null {
  try {
    const options = { addGenerationPrompt: false, tools, chatTemplateKwargs };
    return new ChatTemplate(source, 'tiny', {}).render(messages, options);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return null;
  }
}

describe('data/template-programs', () => {
  let [refused, of] = [0, 0];
  for (const [about, programs] of Object.entries(fixture.programs)) {
    it(`renders like Python, or rejects: ${about}`, () => {
      for (const [source, expected] of programs as [string, string | null][]) {
        const made = render(source);
        of++;
        if (made === null && expected !== null) refused++;
        else expect(made, source).to.equal(expected);
      }
    });
  }

  it(`rejects ${REFUSED.count} of ${REFUSED.of} that Jinja renders`, () => {
    expect({ count: refused, of }).to.deep.equal(REFUSED);
  });
});
