/**
 * Generates a batch of sequences on the device: the prompts in one packed pass, then one token for every live sequence per
 * step. Steps are recorded without waiting for the previous one; tokens are read late, and finished sequences repeat their
 * last token until their rows are dropped. generation.ts decides when to read and when to stop.
 */

import { packSequences } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import type { BufferKind } from '../gpu/pool.ts';
import { type Rehearsal, rehearse } from '../gpu/rehearsal.ts';
import { chosenLogprobs } from '../ops/chosen-logprob.ts';
import { gather } from '../ops/gather.ts';
import { penalize, type Repetition } from '../ops/penalize.ts';
import { padded } from '../ops/product-size.ts';
import { INVALID_TOKEN, type LiveSequences, type SamplingSettings, sample } from '../ops/sample.ts';
import { softCap } from '../ops/soft-cap.ts';
import { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { CausalLM } from './causal-lm.ts';
import type { DecodingPass, PassOfRows, Upload } from './decoding-pass.ts';
import { decodingPass } from './decoding-passes.ts';
import { KvCache } from './kv-cache.ts';

/** Maximum bytes of logits at once. */
const LOGITS_BYTES = 64 * 2 ** 20;

/** The sequences of one batch. Several may continue the same prompt, which is computed once. */
export interface DecodingBatch {
  prompts: readonly (readonly number[])[];
  /** The index of each sequence's prompt. */
  sequences: readonly number[];
  /** Index of the first sequence among all that are generated, for the random numbers. */
  firstSequence: number;
}

export interface DecodingSettings extends SamplingSettings {
  maxNewTokens: number;
  eosTokenIds: readonly number[];
  /** 1 disables it. */
  repetitionPenalty: number;
  /** Whether the tokens' log-probabilities are needed. */
  returnLogprobs: boolean;
}

/** The tokens chosen in some steps, (steps, S) each. */
export interface ChosenTokens {
  tokens: Uint32Array;
  /** If requested: under the sampling distribution, and under the model at temperature 1. */
  logprobs?: { sampling: Float32Array; model: Float32Array };
}

export class Decoding {
  /** Number of tokens chosen so far per sequence. */
  step = 0;
  private readonly cache: KvCache;
  private readonly live: LiveSequences & { places: Tensor };
  /** Undefined without a penalty. */
  private readonly repetition: Repetition | undefined;
  private readonly owned = new Set<Tensor>();
  /** Rows of `places` for all sequences, including finished ones. */
  private readonly allPlaces: Uint32Array;
  /** Maximum number of positions of a sequence. */
  private readonly length: number;

  constructor(
    private readonly model: CausalLM,
    private readonly batch: DecodingBatch,
    private readonly settings: DecodingSettings,
    private readonly pass: DecodingPass,
    private readonly gpu: Gpu = model.gpu,
  ) {
    const { prompts, sequences, firstSequence } = batch;
    const { maxNewTokens, eosTokenIds, repetitionPenalty: penalty, returnLogprobs } = settings;
    let promptRows = 0;
    const spans = prompts.map(({ length }) => {
      promptRows += length;
      return [promptRows - length, promptRows];
    });
    // The last token is never an input, so it needs no row.
    const ownRows = maxNewTokens - 1;
    const places = sequences.flatMap((prompt, i) => [
      ...(spans[prompt] as number[]),
      promptRows + i * ownRows,
      i,
    ]);
    this.allPlaces = Uint32Array.from(places);
    const longestPrompt = prompts.reduce((most, { length }) => Math.max(most, length), 0);
    this.length = maxNewTokens + longestPrompt;
    this.cache = new KvCache(gpu, model.config, promptRows + sequences.length * ownRows);
    try {
      const eos = Uint32Array.from(eosTokenIds.length > 0 ? eosTokenIds : [INVALID_TOKEN]);
      const perToken = (label: string) =>
        this.upload(
          new Uint32Array(maxNewTokens * sequences.length),
          [maxNewTokens, sequences.length],
          label,
        );
      this.live = {
        places: this.upload(this.allPlaces, [sequences.length, 4], 'places'),
        tokens: perToken('generated tokens'),
        eos: this.upload(eos, [eos.length], 'end tokens'),
        firstSequence,
        logprobs: returnLogprobs
          ? { sampling: perToken('sampling log-probabilities'), model: perToken('model log-probabilities') }
          : undefined,
      };
      if (penalty !== 1) {
        const ids = this.upload(Uint32Array.from(prompts.flat()), [promptRows], 'prompt tokens');
        this.repetition = { penalty, prompts: ids, longestPrompt };
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * The maximum bytes of a batch with its pass and the kernels that they run, found by rehearsing the first two steps.
   * `passBytes`: those of the pass alone.
   */
  static plan(
    model: CausalLM,
    batch: DecodingBatch,
    settings: DecodingSettings,
  ): Rehearsal & { passBytes: number } {
    let passBytes = 0;
    const rehearsal = rehearse(model.gpu, (counting) => {
      const pass = decodingPass(model, counting);
      passBytes = pass.bytes;
      const decoding = new Decoding(model, batch, settings, pass, counting);
      decoding.prefill();
      if (settings.maxNewTokens > 1) decoding.advance();
    });
    return { ...rehearsal, passBytes };
  }

  /** Number of sequences that take part in a step. */
  get rows(): number {
    return this.live.places.rows;
  }

  /** Records the pass over the prompts and the first token of every sequence. */
  prefill(): void {
    const { prompts, sequences } = this.batch;
    const packed = packSequences(prompts.map((prompt) => ({ prompt: [...prompt], completion: [] })));
    this.run((tape, upload) => {
      const hidden = this.pass.prompts(tape, packed, this.rowsOfPass, upload);
      const last = Uint32Array.from(sequences, (_, i) => (this.allPlaces[4 * i + 1] as number) - 1);
      return gather(tape, hidden, { indices: upload(last, [last.length], 'last tokens', 'batch') });
    });
  }

  /** Records one more token for every live sequence. */
  advance(): void {
    this.run((tape) => this.pass.step(tape, this.live, this.step, this.rowsOfPass));
  }

  /** The tokens chosen from step `from` until now. Arrives after the next submit; does not force one. */
  async read(from: number): Promise<ChosenTokens> {
    const { tokens, logprobs } = this.live;
    const wanted = logprobs ? [tokens, logprobs.sampling, logprobs.model] : [tokens];
    const parts = wanted.map(({ buffer, offset, cols }) => {
      const size = (this.step - from) * cols * 4;
      return this.gpu.recorder.read({ buffer, offset: offset + from * cols * 4, size });
    });
    const [ids, sampling, model] = await this.gpu.settle(Promise.all(parts));
    const chosen = { tokens: new Uint32Array(ids as ArrayBuffer) };
    if (!sampling || !model) return chosen;
    return { ...chosen, logprobs: { sampling: new Float32Array(sampling), model: new Float32Array(model) } };
  }

  /** Continues with only these sequences. */
  keep(sequences: readonly number[]): void {
    const places = Uint32Array.from(sequences.flatMap((i) => [...this.allPlaces.subarray(i * 4, i * 4 + 4)]));
    this.release(this.live.places);
    this.live.places = this.upload(places, [sequences.length, 4], 'places');
  }

  dispose(): void {
    this.cache.dispose();
    for (const tensor of [...this.owned]) this.release(tensor);
  }

  private get rowsOfPass(): PassOfRows {
    return { cache: this.cache, length: this.length };
  }

  /** Runs a pass that returns the hidden states (B, d) of the live sequences, and chooses their next tokens. */
  private run(pass: (tape: Tape, upload: Upload) => Tensor): void {
    const tape = Tape.forInference(this.gpu);
    const uploaded: Tensor[] = [];
    try {
      const hidden = pass(tape, (data, shape, label, kind) => {
        const tensor = this.upload(data, shape, label, kind);
        uploaded.push(tensor);
        return tensor;
      });
      this.choose(tape, hidden);
    } finally {
      tape.dispose();
      for (const tensor of uploaded) this.release(tensor);
    }
    this.step++;
  }

  /** Applies head and sampling to as many rows at a time as the logits' limit allows. */
  private choose(tape: Tape, hidden: Tensor): void {
    const { model, gpu, live, settings, step, repetition } = this;
    const { logprobs } = live;
    const { vocabSize: vocabulary, hiddenSize, logitSoftCap } = model.config;
    const stride = padded(vocabulary);
    const limit = Math.min(LOGITS_BYTES, gpu.limits.maxStorageBufferBindingSize);
    // Views begin at multiples of 256 bytes, which groups of 64 rows always do.
    const most = Math.max(64, Math.floor(limit / (stride * 4) / 64) * 64);
    for (let firstRow = 0; firstRow < hidden.rows; firstRow += most) {
      const rows = Math.min(most, hidden.rows - firstRow);
      const rowBytes = hiddenSize * 4;
      const offset = hidden.offset + firstRow * rowBytes;
      const part = new Tensor({ buffer: hidden.buffer, offset, size: rows * rowBytes }, [rows, hiddenSize]);
      const logits = tape.empty([rows, stride], 'logits');
      this.pass.head(gpu, part, logits);
      if (logitSoftCap !== undefined) softCap(gpu, logits, vocabulary, logitSoftCap);
      const at = { step, firstRow, vocabulary };
      // The penalty overwrites the logits, but the model's own log-probabilities need the original ones.
      const scores = repetition && logprobs ? tape.empty([rows, stride], 'penalized logits') : logits;
      if (scores !== logits) gpu.recorder.copy(logits, scores);
      if (repetition) penalize(tape, scores, live, repetition, at);
      sample(gpu, scores, live, settings, at, scores === logits);
      if (logprobs && scores !== logits) chosenLogprobs(gpu, logits, live, logprobs.model, at);
      if (scores !== logits) tape.release(scores);
      tape.release(logits);
    }
  }

  private upload(data: Uint32Array, shape: readonly number[], label: string, kind?: BufferKind): Tensor {
    const tensor = Tensor.from(this.gpu, data, shape, label, kind);
    this.owned.add(tensor);
    return tensor;
  }

  private release(tensor: Tensor): void {
    if (this.owned.delete(tensor)) this.gpu.pool.release(tensor);
  }
}
