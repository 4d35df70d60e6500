/** The form that says how drafts are written, and the seeds and the order of the next ones. */
import { byId } from '../shared/dom.ts';
import type { PastRun } from './history.ts';
import type { DraftRequest, ModelFacts, Side } from './messages.ts';
import { pastWriters } from './run-names.ts';

/** Who writes, by the form's option. */
const WRITERS: ReadonlyMap<string, readonly Side[]> = new Map<string, readonly Side[]>([
  ['now', ['now', 'now']],
  ['blind', ['before', 'now']],
  ['one', ['now']],
]);
/** The option by which two other fields say who writes. */
const CHOSEN = 'chosen';
const FIRST = 'writerA';
const SECOND = 'writerB';

/** Fields by which tokens are drawn from all of the model's distribution. */
const WHOLE = [
  ['temperature', '1'],
  ['topP', '1'],
] as const;

/** Whether two things change places: one random bit. */
const coin = () => (crypto.getRandomValues(new Uint8Array(1))[0] & 1) === 1;

type Writers = readonly (readonly [side: Side, label: string])[];

/** The model before, as it stands, and with the adapter of each of these runs, at its end and after its kept steps. */
export function writersOf(runs: readonly Pick<PastRun, 'startedAt' | 'name' | 'policy'>[]): Writers {
  return [['before', 'the model before training'], ['now', 'the current model'], ...pastWriters(runs)];
}

/** Fills a field with writers; it keeps its choice where that is still there. */
export function offerWriters(field: HTMLSelectElement, writers: Writers, usual: Side): void {
  const { value } = field;
  field.replaceChildren(...writers.map(([side, label]) => new Option(label, side)));
  field.value = writers.some(([side]) => side === value) ? value : usual;
}

export class Sampling {
  private readonly form = byId('sampling', HTMLFormElement);
  /** What the fields of {@link WHOLE} held before. */
  private chance: readonly string[] | undefined;

  constructor() {
    this.form.addEventListener('submit', (event) => event.preventDefault());
    this.form.addEventListener('change', () => this.showChosen());
    this.offerRuns([]);
  }

  /** What is written after a pick. */
  get afterPick(): string {
    return this.field('then').value;
  }

  /** Two writers, one draft of each. */
  writeBy([first, second]: readonly [Side, Side]): void {
    this.field('writers').value = CHOSEN;
    this.field(FIRST).value = first;
    this.field(SECOND).value = second;
    this.form.dispatchEvent(new Event('change'));
  }

  /** How many drafts are judged together. */
  get count(): number {
    return this.sides.length;
  }

  /** `listener` hears that another field has another value. */
  onChange(listener: (event: Event) => void): void {
    this.form.addEventListener('change', listener);
  }

  /** Offers runs that have ended as writers, on the model of this page. */
  offerRuns(runs: readonly Pick<PastRun, 'startedAt' | 'name' | 'policy'>[]): void {
    const writers = writersOf(runs);
    for (const [name, usual] of [
      [FIRST, 'before'],
      [SECOND, writers.at(-1)?.[0] ?? 'now'],
    ] as const) {
      offerWriters(this.form.elements.namedItem(name) as HTMLSelectElement, writers, usual);
    }
    this.showChosen();
  }

  private showChosen(): void {
    byId('writers-chosen', HTMLElement).hidden = this.field('writers').value !== CHOSEN;
  }

  private get sides(): readonly Side[] {
    if (this.field('writers').value === CHOSEN)
      return [FIRST, SECOND].map((name) => this.field(name).value as Side);
    return WRITERS.get(this.field('writers').value) ?? ['now', 'now'];
  }

  /** Sets a length and a temperature that suit the model; the form stands at those of the storyteller. */
  suit({ embedded, positions }: ModelFacts): void {
    if (embedded) return;
    this.field('maxNewTokens').value = String(Math.min(160, Math.floor(positions / 2)));
    this.field('temperature').value = '0.8';
  }

  /** Draws from the whole distribution while `isOn`, and as the person had set it afterwards. */
  drawWhole(isOn: boolean): void {
    if (isOn === (this.chance !== undefined)) return;
    const fields = WHOLE.map(([name]) => this.field(name));
    const { chance = [] } = this;
    this.chance = isOn ? fields.map(({ value }) => value) : undefined;
    for (const [i, [, whole]] of WHOLE.entries()) {
      const field = fields[i];
      field.value = isOn ? whole : (chance[i] ?? field.value);
      field.disabled = isOn;
    }
  }

  /** How the next drafts are written, in random order; undefined where a field makes no sense, which the browser then says. */
  next(): Omit<DraftRequest, 'prompt'> | undefined {
    if (!this.form.reportValidity()) return undefined;
    const seed = this.number('seed');
    this.field('seed').value = String(seed + 2);
    const writers = this.sides.map((side, i) => ({ side, seed: seed + i }));
    if (coin()) writers.reverse();
    return {
      sides: writers.map(({ side }) => side),
      seeds: writers.map((writer) => writer.seed),
      temperature: this.number('temperature'),
      topP: this.number('topP'),
      maxNewTokens: this.number('maxNewTokens'),
    };
  }

  private number(name: string): number {
    return Number(this.field(name).value);
  }

  private field(name: string): HTMLInputElement {
    return this.form.elements.namedItem(name) as HTMLInputElement;
  }
}

/** How drafts are written, as the form says. */
export function samplingNow(): Pick<DraftRequest, 'temperature' | 'topP' | 'maxNewTokens'> {
  const { elements } = byId('sampling', HTMLFormElement);
  const number = (name: string) => Number((elements.namedItem(name) as HTMLInputElement).value);
  return {
    temperature: number('temperature'),
    topP: number('topP'),
    maxNewTokens: number('maxNewTokens'),
  };
}

/** What a chat's model is told first; empty for nothing, and where prompts are texts. */
export function systemNow(): string {
  const isChat = byId('form', HTMLSelectElement).value === 'chat';
  return isChat ? byId('system', HTMLTextAreaElement).value.trim() : '';
}
