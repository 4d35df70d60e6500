/** The meaning of the prompt field: a text to continue, or the next message of a chat. */
import { byId, make } from '../shared/dom.ts';
import type { ModelFacts } from './messages.ts';
import type { ChatTurn, Prompt } from './preferences/judgment.ts';

/** The words of a prompt that a person has typed or was offered. */
export function typedOf(prompt: Prompt): string {
  return typeof prompt === 'string' ? prompt : (prompt.at(-1)?.content ?? '');
}

export class Conversation {
  private readonly form = byId('form', HTMLSelectElement);
  private readonly system = byId('system', HTMLTextAreaElement);
  private readonly list = byId('turns', HTMLOListElement);
  private turns: readonly ChatTurn[] = [];

  /** `onChange` hears that the form of prompts, or what was said before, is another. */
  constructor(private readonly onChange: () => void) {
    this.form.addEventListener('change', () => {
      this.reset();
      this.onChange();
    });
  }

  /** Offers chats where the model has a template for them. */
  suit({ chats }: ModelFacts): void {
    this.form.value = chats ? 'chat' : 'text';
    this.form.disabled = !chats;
    this.reset();
  }

  get isChat(): boolean {
    return this.form.value === 'chat';
  }

  /** The prompt that the typed words make with what was said before. */
  promptOf(typed: string): Prompt {
    if (!this.isChat) return typed;
    const system = this.system.value.trim();
    const first = system ? [{ role: 'system', content: system }] : [];
    return [...first, ...this.turns, { role: 'user', content: typed }];
  }

  /** Goes on with the chat of `prompt` as if the model had answered so. */
  goOn(prompt: Prompt, answer: string): void {
    if (typeof prompt === 'string') return;
    const said = prompt.filter(({ role }) => role !== 'system');
    this.turns = [...said, { role: 'assistant', content: answer }];
    this.draw();
  }

  /** Stands where `prompt` was asked. */
  restore(prompt: Prompt): void {
    const said = typeof prompt === 'string' ? [] : prompt.filter(({ role }) => role !== 'system');
    this.turns = said.slice(0, -1);
    this.draw();
  }

  /** Begins a new chat. */
  reset(): void {
    this.turns = [];
    this.draw();
  }

  private draw(): void {
    byId('system-row', HTMLDivElement).hidden = !this.isChat;
    const names: ReadonlyMap<string, string> = new Map([['assistant', 'Model']]);
    this.list.hidden = this.turns.length === 0;
    this.list.replaceChildren(
      ...this.turns.map(({ role, content }) =>
        make('li', role, make('strong', '', names.get(role) ?? 'You'), make('p', 'story', content)),
      ),
    );
  }
}
