/**
 * The choice of the reward: a built-in one, or a typed function, which is tested on a few stories while the user types, so
 * that errors are visible before a run.
 */
import { counted } from '../../src/base/counted.ts';
import { byId, make, setText } from '../shared/dom.ts';
import { messageOf } from '../shared/message-of.ts';
import { Judge } from './judge.ts';
import type { RatedRow, Settings } from './messages.ts';
import { CHOICES, type RewardName } from './rewards.ts';

const EXAMPLE = `function dogs(story, { tokens, ended }) {
  // A number for each story: how often it has a dog.
  return 3 * (story.match(/\\bdogs?\\b/gi) ?? []).length;
}`;

/** Milliseconds after the last key until the function is tested, and maximum seconds of a test. */
const PAUSE = 600;
const TRIAL = 2;

export class RewardChoice {
  private readonly select = byId('set-reward', HTMLSelectElement);
  private readonly help = byId('reward-help', HTMLElement);
  private readonly typed = byId('typed', HTMLElement);
  private readonly code = byId('code', HTMLTextAreaElement);
  private readonly verdict = byId('verdict', HTMLElement);
  private examples: readonly RatedRow[] = [];
  private timer = 0;
  private round = 0;

  /** `suggestBeta`: called when a reward is chosen, with the β for its scale. */
  constructor(
    private readonly frame: Promise<HTMLIFrameElement>,
    private readonly suggestBeta: (beta: number) => void,
  ) {
    const options = Object.entries(CHOICES).map(([name, { label }]) => {
      const option = make('option', '', label);
      option.value = name;
      return option;
    });
    this.select.replaceChildren(...options);
    this.code.value = EXAMPLE;
    this.select.addEventListener('change', () => {
      this.suggestBeta(CHOICES[this.name].beta);
      this.render();
    });
    this.code.addEventListener('input', () => {
      clearTimeout(this.timer);
      this.timer = window.setTimeout(() => void this.tryOut(), PAUSE);
    });
    this.render();
  }

  /** Sets the stories for testing a function. */
  ready(examples: readonly RatedRow[]): void {
    this.examples = examples;
  }

  show({ reward, code }: Pick<Settings, 'reward' | 'code'>): void {
    this.select.value = reward;
    if (code) this.code.value = code;
    this.render();
  }

  read(): Pick<Settings, 'reward' | 'code'> {
    return { reward: this.name, code: this.name === 'typed' ? this.code.value : '' };
  }

  /** Shows the accuracy of the reward model. */
  tell(pairs: number, accuracy: number): void {
    const share = Math.round(100 * accuracy);
    setText(
      this.help,
      `The reward model has learned from ${counted(pairs, 'pair')}. Its accuracy on the last ones is ${share} %.`,
    );
  }

  private get name(): RewardName {
    return this.select.value as RewardName;
  }

  private render(): void {
    setText(this.help, CHOICES[this.name].help);
    const isTyped = this.name === 'typed';
    this.typed.hidden = !isTyped;
    if (isTyped) void this.tryOut();
  }

  /** Shows the values of the function, or its error. */
  private async tryOut(): Promise<void> {
    const round = ++this.round;
    let judge: Judge | undefined;
    const say = (text: string, kind: 'fine' | 'problem') => {
      if (round !== this.round) return;
      setText(this.verdict, text);
      this.verdict.dataset.kind = kind;
    };
    try {
      judge = await Judge.open(await this.frame, this.code.value);
      const values = await judge.rate(this.examples, TRIAL);
      say(`${judge.name} gives ${values.join(', ')} to the data’s first ${values.length} stories.`, 'fine');
    } catch (error) {
      say(judge ? `${judge.name}: ${messageOf(error)}` : messageOf(error), 'problem');
    } finally {
      judge?.close();
    }
  }
}
