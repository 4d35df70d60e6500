/**
 * `webalign generate`: continues prompts, with or without an adapter.
 */
import { doubledBos } from '../../data/tokenize-completions.ts';
import { requireEmbedded } from '../../data/tokenizer.ts';
import { addUpdate, emptyGenerations, type Generation, streamGeneration } from '../../model/generation.ts';
import { command } from '../command.ts';
import { textAfter } from '../continuations.ts';
import { adapterJson, openModel, openModelFiles, withGpu } from '../open.ts';
import { MODEL_OPTIONS } from '../options.ts';

export const generateCommand = command({
  name: 'generate',
  summary: 'continue a prompt',
  description:
    'Continues prompts on the GPU, until an end token of the model (generation_config.json, else config.json) or\n' +
    '--max-tokens. The same seed writes the same text, whatever else is in the batch. --json says what ended each.',
  example:
    'generate --model HuggingFaceTB/SmolLM2-135M --adapter adapter --prompt "Once upon a time" --max-tokens 100 --seed 1',
  options: [
    ...MODEL_OPTIONS,
    'dtype',
    'adapter',
    'q',
    'prompt',
    'maxTokens',
    'temperature',
    'topK',
    'topP',
    'minP',
    'repetitionPenalty',
    'n',
    'seed',
  ],
  required: ['model', 'prompt'],
  defaults: {
    maxTokens: 64,
    temperature: 1,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    n: 1,
    seed: 42,
  },
  async run({ settings, terminal, signal }) {
    const {
      prompt: prompts,
      maxTokens,
      temperature,
      topK,
      topP,
      minP,
      repetitionPenalty,
      n,
      seed,
    } = settings;
    const files = await openModelFiles(settings, terminal, signal);
    return withGpu(terminal, settings, async (gpu) => {
      const { model, tokenizer } = await openModel(gpu, files, {
        ...settings,
        onNotice: (line) => terminal.info(line),
      });
      const ids = prompts.map((prompt, i) => {
        const tokens = tokenizer.encode(prompt);
        requireEmbedded(tokenizer, tokens, model.config.vocabSize, `prompt ${i + 1}`);
        return tokens;
      });
      const doubled = doubledBos(ids, tokenizer, 'prompt');
      if (doubled) terminal.info(doubled);
      const options = {
        maxNewTokens: maxTokens,
        temperature,
        topK,
        topP,
        minP,
        repetitionPenalty,
        seed,
        numReturnSequences: n,
        signal,
      };
      const written = emptyGenerations(ids.length * n);
      const started = performance.now();
      let tokens = 0;
      for await (const updates of streamGeneration(model, ids, options)) {
        for (const update of updates) {
          addUpdate(written[update.sequence] as Generation, update);
          tokens += update.ids.length;
        }
        terminal.progress('Writing', tokens, written.length * maxTokens, 'tokens');
      }
      const seconds = (performance.now() - started) / 1000;
      const results = written.map((generation, i) => {
        const prompt = prompts[Math.floor(i / n)] as string;
        const text = textAfter(tokenizer, ids[Math.floor(i / n)] as number[], generation.ids);
        return { prompt, text, ...generation };
      });
      for (const { prompt, text } of results) terminal.print(`${prompt}${text}\n`);
      const tokensPerSecond = tokens / seconds;
      return {
        json: { results, tokensPerSecond, peakBytes: gpu.memory().peak, adapter: adapterJson(gpu.adapter) },
      };
    });
  },
});
