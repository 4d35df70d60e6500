/**
 * What the job asks of the GPU: a trainer, and two drafts of a prompt, streamed, between two steps of training if need be.
 */
import { textAfter } from 'webalign/data';
import type { Around } from 'webalign/gpu';
import {
  type Adapter,
  addUpdate,
  emptyGenerations,
  type Generation,
  type GenerationUpdate,
  type StreamOptions,
  sampledTokens,
  streamGeneration,
} from 'webalign/models';
import type { Trainer } from 'webalign/trainers';
import { Host, type Machine, openMachine } from '../shared/host.ts';
import { LearnedReward } from '../shared/learned-reward.ts';
import type { Assets } from './assets.ts';
import type { DraftRequest, DraftUpdate, Lesson, Side } from './messages.ts';
import { methodOf } from './methods.ts';
import { PastAdapters } from './past-adapters.ts';
import type { Draft, Prompt, Source } from './preferences/judgment.ts';
import type { StudioKept } from './record.ts';
import { isPast } from './run-names.ts';
import { loraConfig, trainingArgs } from './task.ts';
import { TRAINERS } from './trainers.ts';

/** Tokens between two looks at the drafts. */
const EVERY = 2;

/** One draft as it is written. */
interface Writing {
  /** Puts the model into the state in which it writes. */
  around: Around;
  source: Source;
  written: Generation;
  done: boolean;
}

export class Runtime extends Host<Trainer> {
  /** Throws `NoAdapterError`. */
  static async open(assets: Assets): Promise<Runtime> {
    return new Runtime(await openMachine(assets.model, assets.loading));
  }

  /** On a device of one's own, in Node as well. */
  static on(machine: Machine): Runtime {
    return new Runtime(machine);
  }

  private readonly past = new PastAdapters();
  /** Scores the rollouts of a run, under this name in its log. */
  readonly learned = new LearnedReward('picks');
  /** Votes in comparisons: the latest one of the picks. */
  readonly judge = new LearnedReward('judge');
  /** The reward model of the run, for {@link learned}. */
  reward: Adapter | undefined;

  private constructor(machine: Machine) {
    super(machine);
  }

  /** The trainer of a run, with a fresh adapter on the model or the one it starts with. Throws `InputError` for settings or rows that make no sense. */
  newTrainer(
    { method, settings, train, heldOut }: Lesson,
    kept: Pick<StudioKept, 'checkpoint' | 'referenceCache'>,
    start?: Adapter,
  ): Trainer {
    const { model, tokenizer, learned, reward } = this;
    if (methodOf(method).isPolicy && reward) learned.put(model, tokenizer, reward);
    return TRAINERS[method]({
      model,
      tokenizer,
      reward: learned,
      train,
      heldOut,
      args: trainingArgs(method, settings),
      peftConfig: start ?? loraConfig(settings),
      checkpoint: kept.checkpoint,
      referenceCache: kept.referenceCache,
    });
  }

  /**
   * Drafts of one prompt side by side, as they are written. Rejects with the signal's reason; throws `InputError` for a prompt that is
   * empty or too long.
   */
  async draft(
    { prompt, sides, seeds, ...sampling }: DraftRequest,
    nameOf: (side: 'before' | 'now') => Source,
    signal: AbortSignal,
    listener: (update: DraftUpdate) => void,
  ): Promise<void> {
    const ids = this.encode(prompt);
    const writings: Writing[] = [];
    for (const side of sides) {
      const [written] = emptyGenerations(1) as [Generation];
      writings.push({ ...(await this.writerOf(side, nameOf)), written, done: false });
    }
    const tell = () => listener(this.stateOf(ids, writings));
    const follow = (writing: Writing, i: number) =>
      this.follow(writing, ids, { ...sampling, seed: seeds[i], signal, every: EVERY }, tell);
    await Promise.all(writings.map(follow));
  }

  /** {@link draft}, which the signal may end early; resolves with what was written. */
  async draftUntil(
    request: DraftRequest,
    nameOf: (side: 'before' | 'now') => Source,
    signal: AbortSignal,
    listener: (update: DraftUpdate) => void,
  ): Promise<DraftUpdate> {
    const empty = () => ({ text: '', ended: false });
    let last: DraftUpdate = { drafts: request.sides.map(empty), done: request.sides.map(() => false) };
    const tell = (update: DraftUpdate) => {
      last = update;
      listener(update);
    };
    await this.draft(request, nameOf, signal, tell).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    return last;
  }

  private async follow(
    writing: Writing,
    ids: readonly number[],
    options: StreamOptions,
    tell: () => void,
  ): Promise<void> {
    const stream: AsyncGenerator<GenerationUpdate[]> = streamGeneration(this.model, [ids], options);
    for await (const updates of this.turns.each(stream, writing.around)) {
      for (const update of updates) {
        addUpdate(writing.written, update);
        writing.done ||= update.finished !== undefined;
      }
      tell();
    }
  }

  private stateOf(ids: readonly number[], writings: readonly Writing[]): DraftUpdate {
    const draftOf = ({ written, source, done }: Writing): Draft => {
      const text = textAfter(this.tokenizer, ids, written.ids);
      const ended = written.finished === 'eos';
      return { text, ended, source, ...(done && { tokens: sampledTokens(written) }) };
    };
    return { drafts: writings.map(draftOf), done: writings.map(({ done }) => done) };
  }

  /** The token ids that a prompt's drafts follow. */
  encode(prompt: Prompt): number[] {
    if (typeof prompt === 'string') return this.tokenizer.encode(prompt);
    return this.tokenizer.encodeChat(prompt, { addGenerationPrompt: true });
  }

  /** What puts the model into the state in which a side writes, and its name. */
  async writerOf(
    side: Side,
    nameOf: (side: 'before' | 'now') => Source,
  ): Promise<Pick<Writing, 'around' | 'source'>> {
    if (!isPast(side)) {
      const around: Around = side === 'now' ? (work) => work() : this.asItWas;
      return { around, source: nameOf(side) };
    }
    const { model } = this;
    const { adapter, name } = await this.turns.run(() => this.past.on(model, side));
    return {
      around: (work) => model.withOnly([adapter], work),
      source: { model: model.name, adapter: name },
    };
  }
}
