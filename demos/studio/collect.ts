/**
 * The tab in which preferences are collected: a prompt, two drafts, a verdict, and the next prompt. What is picked goes into the
 * store at once; the page says only what is in it.
 */

import type { Remote } from 'comlink';
import { byId, onPress, setText, setUsable } from '../shared/dom.ts';
import { messageOf } from '../shared/message-of.ts';
import { Conversation, typedOf } from './conversation.ts';
import { Drafts, type Shown } from './drafts.ts';
import { Editor } from './editor.ts';
import { onKeys } from './keys.ts';
import type { Opened, Side, StudioJob } from './messages.ts';
import { type Edit, newId, VERDICTS, type Verdict } from './preferences/judgment.ts';
import { isHeldOut } from './preferences/split.ts';
import type { PreferenceStore } from './preferences/store.ts';
import { wirePromptImport } from './prompt-files.ts';
import { Prompts } from './prompts.ts';
import { Sampling } from './sampling.ts';

/** Buttons and keys of the verdicts on two drafts, and on one. */
const PICKS: readonly { verdict: Verdict; key: string; drafts: 1 | 2 }[] = [
  { verdict: 'first', key: '1', drafts: 2 },
  { verdict: 'second', key: '2', drafts: 2 },
  { verdict: 'tie', key: '0', drafts: 2 },
  { verdict: 'both-bad', key: 'x', drafts: 2 },
  { verdict: 'up', key: '1', drafts: 1 },
  { verdict: 'down', key: '2', drafts: 1 },
];

/** What learns from the picks as they are made. */
interface Learning {
  readonly isOn: boolean;
  /** Resolves when what the picks so far are due has been learned. */
  settled(): Promise<void>;
}

/** A judgment of which only drafts and verdict matter. */
const BLANK = { id: '', time: 0, prompt: '' };

const buttonOf = (verdict: Verdict) => byId(`pick-${verdict}`, HTMLButtonElement);

export class Collect {
  private readonly drafts: Drafts;
  private readonly editor: Editor;
  private readonly prompts = new Prompts();
  readonly sampling = new Sampling();
  private readonly prompt = byId('prompt', HTMLTextAreaElement);
  private readonly said = byId('said', HTMLElement);
  private readonly undoButton = byId('undo', HTMLButtonElement);
  private readonly writeButton = byId('write', HTMLButtonElement);
  private readonly skipButton = byId('skip', HTMLButtonElement);
  private readonly editButton = byId('edit', HTMLButtonElement);
  private readonly conversation: Conversation;
  /** The last pick of this visit, and the drafts that it was made on. */
  private last: { id: string; shown: Shown } | undefined;
  /** The draft that the pointer was last on, where an edit starts. */
  private place: 0 | 1 = 0;
  private isReady = false;
  private isLearning = false;
  /** Whether votes on two models are asked for. */
  private isComparing = false;
  private suggestions: readonly string[] = [];

  constructor(
    job: () => Remote<StudioJob> | undefined,
    private readonly store: PreferenceStore,
    /** Prompts of an earlier import. */
    private imported: readonly string[],
    private readonly complain: (text: string) => void,
    isShown: () => boolean,
    private readonly learning: () => Learning,
  ) {
    this.drafts = new Drafts(job, () => this.offer());
    this.editor = new Editor(
      (edit) => void this.judge('edit', edit),
      () => this.offer(),
    );
    this.conversation = new Conversation(() => this.offer());
    this.sampling.onChange((event) => {
      // A person who chooses who writes has left the comparison.
      if (event.isTrusted) this.isComparing = false;
      this.offer();
    });
    this.wireButtons();
    this.wireKeys(isShown);
    wirePromptImport(
      (prompts) => {
        this.imported = prompts;
        this.prompts.offer([...prompts, ...this.suggestions]);
        this.next();
      },
      (text) => setText(byId('prompts-said', HTMLElement), text),
    );
    store.subscribe(() => this.offer());
    byId('pair', HTMLElement).addEventListener('pointerover', (event) => {
      this.place = (event.target as HTMLElement).closest('.draft:last-child') ? 1 : 0;
    });
  }

  /** Prompts to offer; the first one is drafted at once, so that there is something to judge. */
  ready({ suggestions, model }: Opened): void {
    this.suggestions = suggestions;
    this.prompts.offer([...this.imported, ...suggestions]);
    this.sampling.suit(model);
    this.conversation.suit(model);
    this.isReady = true;
    this.prompt.value ||= this.prompts.next('', this.store.all()) ?? '';
    this.offer();
    if (this.prompt.value) this.write();
  }

  /** The worker has ended. */
  leave(): void {
    this.isReady = false;
    this.drafts.leave();
  }

  /** New drafts for a run that learns from them: of the prompt in the field, or of the next one where that teaches nothing. */
  begin(): void {
    if (this.isKept(this.prompt.value)) this.next();
    else this.write();
  }

  /** Blind drafts of held-out prompts by two writers. Throws where no prompt that is offered is held out. */
  compare(sides: readonly [Side, Side]): void {
    if (![...this.imported, ...this.suggestions].some((prompt) => isHeldOut(prompt)))
      throw new Error('No prompt that is offered is held out. Import more prompts: about every fifth is.');
    this.sampling.writeBy(sides);
    this.isComparing = true;
    this.begin();
  }

  /** New drafts of the prompt in the field. */
  write(): void {
    const typed = this.prompt.value;
    if (!this.isReady) return;
    if (typed.trim() === '') {
      this.prompt.focus();
      return;
    }
    const prompt = this.conversation.promptOf(typed);
    const sampling = this.sampling.next();
    if (!sampling) return;
    this.editor.close();
    void this.drafts.write({ ...sampling, prompt }).then(() => {
      if (!this.drafts.isWriting && this.drafts.shown) setText(this.said, 'The drafts are written.');
    });
  }

  private wireButtons(): void {
    for (const { verdict } of PICKS) onPress(buttonOf(verdict), () => void this.judge(verdict));
    onPress(this.skipButton, () => this.next());
    onPress(this.editButton, () => this.edit());
    onPress(this.undoButton, () => void this.undo());
    onPress(byId('another', HTMLButtonElement), () => this.next());
    byId('ask', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.drafts.isWriting && !this.isNewPrompt()) void this.drafts.stop();
      else this.write();
    });
    this.prompt.addEventListener('input', () => this.offer());
    this.prompt.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.write();
    });
  }

  private wireKeys(isShown: () => boolean): void {
    const pick = (key: string) => () => {
      const found = PICKS.find((each) => each.key === key && each.drafts === this.sampling.count);
      if (found && this.canJudge(found.drafts)) void this.judge(found.verdict);
    };
    const actions = {
      ...Object.fromEntries(PICKS.map(({ key }) => [key, pick(key)])),
      s: () => this.canJudge() && this.next(),
      e: () => this.canJudge(2) && this.edit(),
    };
    onKeys(actions, () => void this.undo(), isShown);
  }

  /** Stores the verdict on the drafts as they are shown, and continues. */
  private async judge(verdict: Verdict, edit?: Edit): Promise<void> {
    const { shown } = this.drafts;
    if (!shown) return;
    const { request, update } = shown;
    const id = newId();
    this.last = { id, shown };
    const judgment = { id, time: Date.now(), prompt: request.prompt, drafts: update.drafts, verdict };
    const added = this.store
      .add({ ...judgment, ...(edit && { edit }) })
      .catch((error: unknown) => this.complain(messageOf(error)));
    setText(this.said, `Kept: ${VERDICTS[verdict].words}.`);
    // The next drafts come from the model that has learned from this pick, where it learns now.
    if (this.learning().isOn) await this.whileLearning();
    this.goOn(shown, verdict, edit);
    await added;
  }

  /** The drafts on the page have their verdict; no other is taken until the model has learned from it. */
  private async whileLearning(): Promise<void> {
    this.isLearning = true;
    this.offer();
    await this.learning().settled();
    this.isLearning = false;
  }

  /** What the form says comes after a verdict. */
  private goOn({ request, update }: Shown, verdict: Verdict, edit?: Edit): void {
    const { afterPick } = this.sampling;
    const judgment = { ...BLANK, drafts: update.drafts, verdict, ...(edit && { edit }) };
    const [better] = VERDICTS[verdict].good(judgment);
    const goesOn = afterPick === 'on' && this.conversation.isChat;
    if (!(goesOn && better)) {
      if (afterPick === 'same') this.write();
      else this.next();
      return;
    }
    void this.drafts.stop();
    this.conversation.goOn(request.prompt, better.text);
    this.prompt.value = '';
    this.prompt.focus();
    this.offer();
  }

  private next(): void {
    if (!this.isReady) return;
    this.conversation.reset();
    const next = this.prompts.next(this.prompt.value, this.store.all(), this.isKept);
    if (next !== undefined) this.prompt.value = next;
    this.write();
  }

  /** Held-out prompts teach nothing: they are left for comparisons while the model learns, and are all that a comparison uses. */
  private readonly isKept = (prompt: string) =>
    this.isComparing ? !isHeldOut(prompt) : this.learning().isOn && isHeldOut(prompt);

  private edit(): void {
    const { shown } = this.drafts;
    if (!shown) return;
    // What is edited must not change meanwhile.
    if (this.drafts.isWriting) void this.drafts.stop();
    this.editor.open(shown.update.drafts, this.place);
    this.offer();
  }

  private async undo(): Promise<void> {
    const sentence = await this.store.undo();
    setText(this.said, sentence ?? 'There is nothing to undo.');
    const { last } = this;
    if (!last || this.store.all().some(({ id }) => id === last.id)) return;
    // The drafts come back, so that another verdict can be given.
    this.last = undefined;
    const { prompt } = last.shown.request;
    this.conversation.restore(prompt);
    this.prompt.value = typedOf(prompt);
    await this.drafts.stop();
    this.drafts.restore(last.shown);
  }

  /** Whether there are drafts that a verdict on so many can be given on. */
  private canJudge(count = this.sampling.count): boolean {
    const { shown } = this.drafts;
    if (!this.isReady || this.editor.isOpen || shown?.update.drafts.length !== count) return false;
    // What is learned from at once was seen to its end.
    if (this.learning().isOn && (this.drafts.isWriting || this.isLearning)) return false;
    return shown.update.drafts.every(({ text }) => text !== '');
  }

  private isNewPrompt(): boolean {
    const asked = this.drafts.asked?.prompt;
    return asked === undefined || typedOf(asked) !== this.prompt.value;
  }

  /** Says of every button whether it does something now. */
  private offer(): void {
    for (const { verdict, drafts } of PICKS) {
      buttonOf(verdict).hidden = drafts !== this.sampling.count;
      setUsable(buttonOf(verdict), this.canJudge(drafts));
    }
    this.editButton.hidden = this.sampling.count !== 2;
    setUsable(this.editButton, this.canJudge(2));
    const isFree = this.isReady && !this.editor.isOpen;
    setUsable(this.skipButton, isFree);
    const isSame = !this.isNewPrompt();
    const canStop = this.drafts.isWriting && isSame;
    setText(this.writeButton, canStop ? 'Stop writing' : isSame ? 'Regenerate' : 'Write');
    setUsable(this.writeButton, isFree);
    setUsable(byId('another', HTMLButtonElement), isFree);
    setUsable(this.undoButton, this.isReady);
  }
}
