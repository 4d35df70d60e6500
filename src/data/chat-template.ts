/**
 * Chat templates: render a conversation as text like transformers. The templates are Jinja and untrusted, because they come
 * with the model's files. Hugging Face's interpreter runs them; this file adds the functions that transformers provides,
 * Python's definition of white space, and a limit on the work. It reads no files, and no clock except for today's date.
 */

import { Environment } from '@huggingface/jinja';
import { isOwn, own } from '../base/lookup.ts';
import { InputError, quote, reason } from '../io/errors.ts';
import { TemplateBudget } from './template-budget.ts';
import type { GenerationBlock } from './template-generation.ts';
import { TemplateInterpreter } from './template-interpreter.ts';
import { rangeOf } from './template-ranges.ts';
import { type Program, parseTemplate } from './template-source.ts';
import { prepare } from './template-tree.ts';
import { callable, fromData, str, text, textOf, type Value } from './template-values.ts';

/** A turn of a conversation. Its other fields, such as `tool_calls`, are passed to the chat template unchanged. */
export interface Message {
  role: string;
  /** Text; a list of parts, for templates that accept them; or nothing, if the message has tool calls. */
  content?: unknown;
  [extra: string]: unknown;
}

/** Options of the rendering, under the names of `apply_chat_template`. */
export interface ChatOptions {
  addGenerationPrompt: boolean;
  /** Descriptions of the functions that the model may call. */
  tools?: readonly unknown[] | null | undefined;
  /** Extra variables of the template, such as `enable_thinking`. */
  chatTemplateKwargs?: Readonly<Record<string, unknown>> | null | undefined;
}

/** A conversation as text, and the ranges [from, to) of it that the assistant writes. */
export interface MarkedText {
  text: string;
  spans: readonly (readonly [start: number, end: number])[];
}

/** Maximum number of characters of a template: the longest in use have 30,000. */
const MOST_SOURCE = 2 ** 16;

/** Fields of a message that may contain its reasoning; templates read the first name. */
const REASONING = ['reasoning_content', 'thinking', 'reasoning'];

/** Arguments that `apply_chat_template` uses itself and does not pass to templates. */
const NOT_VARIABLES = [
  'conversation', 'messages', 'add_generation_prompt', 'continue_final_message', 'tokenize', 'padding', 'truncation', 'max_length',
  'return_tensors', 'return_dict', 'return_assistant_tokens_mask', 'tokenizer_kwargs', 'sanitize_control_tokens',
]; // biome-ignore format: a list by name

export class ChatTemplate {
  /** The source, unchanged. */
  readonly source: string;
  private readonly program: Program;
  private readonly name: string;
  private readonly special: Readonly<Record<string, string>>;

  /**
   * `special`: texts of the special tokens by name (`bos_token`). Throws {@link InputError} if the source is not a valid
   * template.
   */
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

  /** Whether the template marks the assistant's text with `{% generation %}`. */
  get marksGeneration(): boolean {
    return MARKER.test(this.source);
  }

  /** Renders the conversation. Throws {@link InputError} if the template rejects it or exceeds its budget. */
  render(messages: readonly Message[], options: ChatOptions): string {
    return this.run(messages, options).text;
  }

  /**
   * Also returns the ranges between `{% generation %}` and `{% endgeneration %}`. Also throws {@link InputError} if the
   * template has no such block, or has one where the position of its text in the output is unknown.
   */
  renderMarked(messages: readonly Message[], options: ChatOptions): MarkedText {
    if (!this.marksGeneration) {
      const what = 'the chat template does not mark what the assistant writes: it has no {% generation %}';
      throw new InputError(this.name, what, MARK_IT);
    }
    const { text, generations } = this.run(messages, options);
    if (generations.some(({ isHeld }) => isHeld)) {
      const what = 'the chat template has {% generation %} in a macro, a set block or a similar block';
      throw new InputError(
        this.name,
        `${what}: the position of its text in the output is unknown`,
        'Put it around the output',
      );
    }
    return { text, spans: generations.map(({ start, end }) => [start, end]) };
  }

  private run(
    messages: readonly Message[],
    { addGenerationPrompt, tools, chatTemplateKwargs }: ChatOptions,
  ): { text: string; generations: readonly GenerationBlock[] } {
    if (messages.length === 0)
      throw this.refused('the list of messages is empty', 'Give at least one message');
    const kwargs = chatTemplateKwargs ?? {};
    const taken = NOT_VARIABLES.find((name) => isOwn(kwargs, name));
    if (taken !== undefined) {
      const why = `${quote(taken)} among its keyword arguments is reserved`;
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
const UNSUPPORTED = 'It may use unsupported features of Jinja: give the model a simpler chat_template.jinja';

/** An error that the template itself raises about the messages. */
class Refusal extends Error {}

/** The functions that templates can call. */
function globals(budget: TemplateBudget): Record<string, Value> {
  return {
    raise_exception: callable(([message]) => {
      throw new Refusal(message ? str(message, budget) : '');
    }),
    range: callable((bounds) => rangeOf(bounds, budget)),
    strftime_now: callable(([format]) => {
      const words = format ? str(format, budget) : '';
      budget.charge(words.length * DATE_STEPS);
      return text(today(words));
    }),
  };
}

/** A message as transformers passes it to templates: without null fields, with its reasoning under the name that they read. */
function asTemplatesSeeIt(message: Message): Record<string, unknown> {
  const given = Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null));
  const reasoning = REASONING.map((name) => own(given, name)).find((text) => text !== undefined);
  return reasoning === undefined ? given : { thinking: reasoning, ...given, reasoning_content: reasoning };
}

/** Maximum number of characters of a date format, and steps charged for each: the platform's date functions are slow. */
const MOST_FORMAT = 1000;
const DATE_STEPS = 100;

/** Today's date in Python's format, always in English. */
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
    if (made === undefined) throw new Error(`strftime_now() does not support ${word}`);
    return made;
  });
}
