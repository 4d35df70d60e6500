/**
 * `webalign generate`: continues prompts, or answers messages, with or without an adapter.
 */

import { textAfter } from '../../data/text-stream.ts';
import { doubledBos } from '../../data/tokenize-completions.ts';
import { requireEmbedded, Tokenizer } from '../../data/tokenizer.ts';
import { requireChatTemplate } from '../../model/chat.ts';
import { addUpdate, emptyGenerations, streamGeneration } from '../../model/generation.ts';
import { command } from '../command.ts';
import { converse, readConversations } from '../conversation.ts';
import { UsageError } from '../failures.ts';
import { adapterJson, openModel, openModelFiles, withGpu } from '../open.ts';
import { MODEL_OPTIONS, OPTIONS, type Settings } from '../options.ts';

/** Options that need a conversation. */
const CHAT_OPTIONS = ['system', 'messages'] as const;
/** Default maximum of new tokens, for a continuation and for an answer. */
const USUAL_TOKENS = { text: 64, chat: 512 };

export const generateCommand = command({
  name: 'generate',
  summary: 'continue a prompt, or chat with the model',
  description:
    'Continues prompts on the GPU, until an end token of the model (generation_config.json, else config.json) or\n' +
    '--max-tokens. The same seed writes the same text in any batch. --json says how each text ended.\n' +
    'With --chat it answers messages through the chat template and keeps the conversation: messages that you type (/reset\n' +
    'starts a new one, Ctrl-D quits), one per line on stdin, or conversations in the file --messages.',
  example:
    'generate --model HuggingFaceTB/SmolLM2-135M --adapter adapter --prompt "Once upon a time" --max-tokens 100 --seed 1',
  options: [
    ...MODEL_OPTIONS,
    'dtype',
    'adapter',
    'q',
    'prompt',
    'chat',
    ...CHAT_OPTIONS,
    'maxTokens',
    'temperature',
    'topK',
    'topP',
    'minP',
    'repetitionPenalty',
    'n',
    'seed',
  ],
  required: ['model'],
  defaults: {
    temperature: 1,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    n: 1,
    seed: 42,
  },
  shown: { maxTokens: `${USUAL_TOKENS.text}, with --chat at most ${USUAL_TOKENS.chat}` },
  async run({ settings, terminal, signal }) {
    const { prompt: prompts = [], chat = false, n, seed } = settings;
    const { temperature, topK, topP, minP, repetitionPenalty } = settings;
    checkForm(settings);
    const conversations = settings.messages === undefined ? undefined : await readConversations(settings);
    const files = await openModelFiles(settings, terminal, signal);
    if (chat) requireChatTemplate(await Tokenizer.fromFiles(files), settings.system);
    return withGpu(terminal, settings, async (gpu) => {
      const { model, tokenizer } = await openModel(gpu, files, {
        ...settings,
        onNotice: (line) => terminal.info(line),
      });
      const sampling = { temperature, topK, topP, minP, repetitionPenalty, seed };
      if (chat) {
        const half = model.config.maxPositionEmbeddings >> 1;
        const maxNewTokens = settings.maxTokens ?? Math.min(USUAL_TOKENS.chat, half);
        const asked = { ...sampling, maxNewTokens, system: settings.system };
        const talk = { model, tokenizer, conversations, asked };
        const told = await converse(talk, terminal, signal);
        return { json: { ...told, peakBytes: gpu.memory().peak, adapter: adapterJson(gpu.adapter) } };
      }
      const { maxTokens = USUAL_TOKENS.text } = settings;
      const ids = prompts.map((prompt, i) => {
        const tokens = tokenizer.encode(prompt);
        requireEmbedded(tokenizer, tokens, model.config.vocabSize, `prompt ${i + 1}`);
        return tokens;
      });
      const doubled = doubledBos(ids, tokenizer, 'prompt');
      if (doubled) terminal.info(doubled);
      const options = {
        ...sampling,
        maxNewTokens: maxTokens,
        numReturnSequences: n,
        signal,
      };
      const written = emptyGenerations(ids.length * n);
      const started = performance.now();
      let tokens = 0;
      for await (const updates of streamGeneration(model, ids, options)) {
        for (const update of updates) {
          addUpdate(written[update.sequence], update);
          tokens += update.ids.length;
        }
        terminal.progress('Writing', tokens, written.length * maxTokens, 'tokens');
      }
      const seconds = (performance.now() - started) / 1000;
      const results = written.map((generation, i) => {
        const prompt = prompts[Math.floor(i / n)];
        const text = textAfter(tokenizer, ids[Math.floor(i / n)], generation.ids);
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

/** Throws {@link UsageError} for options that cannot be combined. */
function checkForm(settings: Settings): void {
  const { chat = false, prompt, n } = settings;
  if (chat && prompt)
    throw new UsageError('--prompt continues a text and --chat answers messages: use only one of them.');
  if (chat && n !== undefined && n !== 1)
    throw new UsageError('--n writes several continuations, but a conversation has one: leave out --n.');
  if (chat) return;
  if (!prompt) throw new UsageError('generate needs --prompt or --chat. See webalign generate --help.');
  const odd = CHAT_OPTIONS.find((name) => settings[name] !== undefined);
  if (odd) throw new UsageError(`${OPTIONS[odd].flag} needs a conversation: add --chat.`);
}
