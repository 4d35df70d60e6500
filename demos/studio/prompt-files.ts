/** Prompts out of a person's file, kept in this browser so that a reload offers them again. */
import { get, set } from 'idb-keyval';
import { counted } from '../../src/base/counted.ts';
import { browserStore } from '../shared/browser-store.ts';
import { byId, onPress } from '../shared/dom.ts';
import { messageOf } from '../shared/message-of.ts';
import { readPrompts } from './preferences/files.ts';
import type { Prompt } from './preferences/judgment.ts';

const KEY = 'imported';
const kept = browserStore('webalign-studio-prompts', 'prompts');

/** The prompts of an earlier import; none where the browser keeps nothing. */
export const importedPrompts = (): Promise<string[]> =>
  get<string[]>(KEY, kept).then(
    (prompts) => prompts ?? [],
    () => [],
  );

/** Keeps prompts in the place of those before. Rejects where the browser keeps nothing. */
export const keepPrompts = (prompts: readonly string[]): Promise<void> => set(KEY, [...prompts], kept);

/** Wires the button: `onPrompts` gets the prompts of a file, `say` what became of it, in sentences. */
export function wirePromptImport(onPrompts: (prompts: string[]) => void, say: (text: string) => void): void {
  const input = byId('prompts-input', HTMLInputElement);
  onPress(byId('import-prompts', HTMLButtonElement), () => input.click());
  input.addEventListener('change', async () => {
    const [file] = input.files ?? [];
    input.value = '';
    if (!file) return;
    try {
      const { prompts, problems } = await readPrompts(file);
      const texts = prompts.flatMap(asText);
      const left = prompts.length - texts.length;
      const leftOut = left > 0 ? [`${counted(left, 'chat')} of several turns left out.`] : [];
      await keepPrompts(texts).catch(() => leftOut.push('They are gone with this tab.'));
      onPrompts(texts);
      say(
        [`${counted(texts.length, 'prompt')} of ${file.name} come next.`, ...leftOut, ...problems].join(' '),
      );
    } catch (error) {
      say(messageOf(error));
    }
  });
}

/** A prompt that one message says. */
function asText(prompt: Prompt): string[] {
  if (typeof prompt === 'string') return [prompt];
  const [only] = prompt;
  return prompt.length === 1 && only ? [only.content] : [];
}
