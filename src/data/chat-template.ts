/**
 * Chat templates: a conversation as text, as transformers renders it. The templates are Jinja, and untrusted: they come with
 * the model's files. Hugging Face's interpreter runs them; here it is given what transformers gives a template, Python's idea
 * of white space where the two differ, and an end to its work. It reads no files and no clock but today's date.
 */

import { Environment } from '@huggingface/jinja';
import { isOwn, own } from '../base/lookup.ts';
import { InputError, quote, reason } from '../io/errors.ts';
import { TemplateBudget } from './template-budget.ts';
import type { GenerationBlock } from './template-generation.ts';
import { TemplateInterpreter } from './template-interpreter.ts';
import { type Program, parseTemplate } from './template-source.ts';
import { prepare } from './template-tree.ts';
import {
  callable,
  fromData,
  int,
  intOf,
  list,
  shownAs,
  str,
  text,
  textOf,
  type Value,
} from './template-values.ts';

/** A turn of a conversation. What else it holds, such as `tool_calls`, goes to the chat template as it is. */
export interface Message {
  role: string;
  /** Text; parts of a message, for templates that take them; nothing, beside calls of tools. */
  content?: unknown;
  [extra: string]: unknown;
}

/** What a conversation is rendered with, by the names of `apply_chat_template`. */
export interface ChatOptions {
  addGenerationPrompt: boolean;
  /** Descriptions of the functions that the model may call. */
  tools?: readonly unknown[] | null | undefined;
  /** Variables of the template's own, such as `enable_thinking`. */
  chatTemplateKwargs?: Readonly<Record<string, unknown>> | null | undefined;
}

/** A conversation as text, and the parts of it that the assistant writes: from, up to. */
export interface MarkedText {
  text: string;
  spans: readonly (readonly [start: number, end: number])[];
}

/** Most characters of a template: the longest in use have 30,000. */
const MOST_SOURCE = 2 ** 16;
/** As in Jinja's own sandbox. */
const MOST_RANGE = 100_000;

/** Names under which a message's reasoning is found, the one that templates read first. */
const REASONING = ['reasoning_content', 'thinking', 'reasoning'];

/** What `apply_chat_template` takes for itself, and no template gets. */
const NOT_VARIABLES = [
  'conversation', 'messages', 'add_generation_prompt', 'continue_final_message', 'tokenize', 'padding', 'truncation', 'max_length',
  'return_tensors', 'return_dict', 'return_assistant_tokens_mask', 'tokenizer_kwargs', 'sanitize_control_tokens',
]; // biome-ignore format: a list by name

export class ChatTemplate {
  /** As it is written. */
  readonly source: string;
  private readonly program: Program;
  private readonly name: string;
  private readonly special: Readonly<Record<string, string>>;

  /** `special`: texts of the special tokens by their names (`bos_token`). {@link InputError} where it is no template. */
  constructor(source: string, name: string, special: Readonly<Record<string, string>>) {
    this.source = source;
    this.name = name;
    this.special = special;
    if (source.length > MOST_SOURCE) {
      const what = `the chat template cannot be read: it has more than ${MOST_SOURCE} characters`;
      throw new InputError(name, what, 'Repair or remove it');
    }
    try {
      this.program = prepare(parseTemplate(source));
    } catch (cause) {
      const what = `the chat template cannot be read: ${reason(cause)}`;
      throw new InputError(name, what, 'Repair or remove it', { cause });
    }
  }

  /** Whether it says by `{% generation %}` what the assistant writes. */
  get marksGeneration(): boolean {
    return MARKER.test(this.source);
  }

  /** The conversation as text; {@link InputError} where the template refuses it, or does not come to an end. */
  render(messages: readonly Message[], options: ChatOptions): string {
    return this.run(messages, options).text;
  }

  /**
   * The same, and what of it stands between `{% generation %}` and `{% endgeneration %}`. {@link InputError} also where the
   * template has none, or has them where it is unknown where their text ends up.
   */
  renderMarked(messages: readonly Message[], options: ChatOptions): MarkedText {
    if (!this.marksGeneration) {
      const what = 'the chat template does not say what the assistant writes: it has no {% generation %}';
      throw new InputError(this.name, what, MARK_IT);
    }
    const { text, generations } = this.run(messages, options);
    if (generations.some(({ isHeld }) => isHeld)) {
      const what =
        'the chat template has {% generation %} in a macro, a set block or another block of the kind';
      throw new InputError(
        this.name,
        `${what}: where its text ends up is unknown`,
        'Put it around the output',
      );
    }
    return { text, spans: generations.map(({ start, end }) => [start, end]) };
  }

  private run(
    messages: readonly Message[],
    { addGenerationPrompt, tools, chatTemplateKwargs }: ChatOptions,
  ): { text: string; generations: readonly GenerationBlock[] } {
    if (messages.length === 0) throw this.refused('there is no message', 'Give at least one');
    const kwargs = chatTemplateKwargs ?? {};
    const taken = NOT_VARIABLES.find((name) => isOwn(kwargs, name));
    if (taken !== undefined) {
      const why = `${quote(taken)} among its keyword arguments is no variable of a template`;
      throw this.refused(why, 'Leave it out of chat_template_kwargs');
    }
    try {
      const budget = new TemplateBudget();
      const environment = new Environment();
      const given = {
        ...this.special,
        documents: null,
        ...kwargs,
        tools: tools ?? null,
        messages: messages.map(asTemplatesSeeIt),
        add_generation_prompt: addGenerationPrompt,
      };
      for (const [name, value] of Object.entries(globals(budget))) environment.setVariable(name, value);
      for (const [name, value] of Object.entries(given)) environment.setVariable(name, fromData(value));
      const interpreter = new TemplateInterpreter(environment, budget);
      const text = textOf(interpreter.run(this.program));
      return { text, generations: interpreter.generation.blocks };
    } catch (cause) {
      const wayOut = cause instanceof Refusal ? 'Check the roles and their order' : UNSUPPORTED;
      throw this.refused(reason(cause), wayOut, cause);
    }
  }

  private refused(why: string, wayOut: string, cause?: unknown): InputError {
    return new InputError(this.name, `the chat template cannot render these messages: ${why}`, wayOut, {
      cause,
    });
  }
}

const MARKER = /\{%[-+]?\s*generation\s*[-+]?%\}/;
const MARK_IT =
  'Give the model a chat_template.jinja with {% generation %} and {% endgeneration %} around what an assistant writes, its end token included';
const UNSUPPORTED = 'It may use what is not supported of Jinja: give the model a simpler chat_template.jinja';

/** What a template itself says against messages. */
class Refusal extends Error {}

/** What templates find beside their variables. */
function globals(budget: TemplateBudget): Record<string, Value> {
  return {
    raise_exception: callable(([message]) => {
      throw new Refusal(message ? str(message, budget) : '');
    }),
    range: callable((bounds) => boundedRange(bounds, budget)),
    strftime_now: callable(([format]) => {
      const words = format ? str(format, budget) : '';
      budget.charge(words.length * DATE_STEPS);
      return text(today(words));
    }),
  };
}

/** A message as transformers hands it to templates: without what is null, its reasoning under the name that they read. */
function asTemplatesSeeIt(message: Message): Record<string, unknown> {
  const given = Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null));
  const reasoning = REASONING.map((name) => own(given, name)).find((text) => text !== undefined);
  return reasoning === undefined ? given : { thinking: reasoning, ...given, reasoning_content: reasoning };
}

function boundedRange(bounds: readonly Value[], budget: TemplateBudget): Value {
  const given = bounds.map((bound) => Number(intOf(bound)));
  const [start = 0, stop = 0, step = 1] = given.length < 2 ? [0, ...given] : given;
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= MOST_RANGE)) throw new Error(`range() of ${length} numbers is above ${MOST_RANGE}`);
  budget.elements(length);
  const shown = `range(${start}, ${stop}${step === 1 ? '' : `, ${step}`})`;
  return shownAs(list(Array.from({ length }, (_, i) => int(start + i * step))), () => shown);
}

/** Most characters of a format of dates, and the steps for each: the platform's calendars are slow. */
const MOST_FORMAT = 1000;
const DATE_STEPS = 100;

/** Today in Python's words for dates, in English wherever it is. */
function today(format: string): string {
  if (format.length > MOST_FORMAT) throw new Error(`strftime_now() takes at most ${MOST_FORMAT} characters`);
  const now = new Date();
  const part = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat('en-US', options).format(now);
  const two = (value: number) => `${value}`.padStart(2, '0');
  const parts: Readonly<Record<string, () => string>> = {
    '%Y': () => `${now.getFullYear()}`,
    '%y': () => two(now.getFullYear() % 100),
    '%m': () => two(now.getMonth() + 1),
    '%d': () => two(now.getDate()),
    '%B': () => part({ month: 'long' }),
    '%b': () => part({ month: 'short' }),
    '%A': () => part({ weekday: 'long' }),
    '%a': () => part({ weekday: 'short' }),
    '%H': () => two(now.getHours()),
    '%M': () => two(now.getMinutes()),
    '%S': () => two(now.getSeconds()),
    '%%': () => '%',
  };
  return format.replace(/%./g, (word) => {
    const made = own(parts, word)?.();
    if (made === undefined) throw new Error(`strftime_now() does not know ${word}`);
    return made;
  });
}
