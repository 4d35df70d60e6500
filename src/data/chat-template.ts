/**
 * Chat templates: a conversation as text, as transformers renders it. The templates are Jinja, and untrusted: they come with
 * the model's files. Hugging Face's interpreter runs them; here it is given what transformers gives a template, Python's idea
 * of white space where the two differ, and an end to its work. It reads no files and no clock but today's date.
 */

import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { isOwn, own } from '../base/lookup.ts';
import { InputError, quote, reason } from '../io/errors.ts';
import { pythonStrip, type StripSides } from './python-text.ts';

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

type Node = Parameters<Interpreter['evaluate']>[0];
type Value = ReturnType<Interpreter['evaluate']>;

/** Most steps of a rendering; the longest conversation takes a few hundred a message. */
const MOST_STEPS = 1_000_000;
/** Most characters of a template: the longest in use have 30,000, and reading white space takes their square. */
const MOST_SOURCE = 2 ** 16;
/** Most characters of any text, and elements of any list, that a template makes. */
const MOST_CHARACTERS = 2 ** 26;
const MOST_ELEMENTS = 2 ** 20;
/** As in Jinja's own sandbox. */
const MOST_RANGE = 100_000;

/** Names under which a message's reasoning is found, the one that templates read first. */
const REASONING = ['reasoning_content', 'thinking', 'reasoning'];

/** What `apply_chat_template` takes for itself, and no template gets. */
const NOT_VARIABLES = [
  'conversation', 'messages', 'add_generation_prompt', 'continue_final_message', 'tokenize', 'padding', 'truncation', 'max_length',
  'return_tensors', 'return_dict', 'return_assistant_tokens_mask', 'tokenizer_kwargs', 'sanitize_control_tokens',
]; // biome-ignore format: a list by name

const STRIP: Readonly<Record<string, StripSides>> = {
  strip: 'both',
  lstrip: 'start',
  rstrip: 'end',
  trim: 'both',
};

export class ChatTemplate {
  /** As it is written. */
  readonly source: string;
  private readonly program: Template['parsed'];
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
      this.program = new Template(source).parsed;
    } catch (cause) {
      const what = `the chat template cannot be read: ${reason(cause)}`;
      throw new InputError(name, what, 'Repair or remove it', { cause });
    }
  }

  /** The conversation as text; {@link InputError} where the template refuses it, or does not come to an end. */
  render(
    messages: readonly Message[],
    { addGenerationPrompt, tools, chatTemplateKwargs }: ChatOptions,
  ): string {
    if (messages.length === 0) throw this.refused('there is no message', 'Give at least one');
    const kwargs = chatTemplateKwargs ?? {};
    const taken = NOT_VARIABLES.find((name) => isOwn(kwargs, name));
    if (taken !== undefined) {
      const why = `${quote(taken)} among its keyword arguments is no variable of a template`;
      throw this.refused(why, 'Leave it out of chat_template_kwargs');
    }
    try {
      const environment = new Environment();
      const given = {
        ...GLOBALS,
        ...this.special,
        documents: null,
        ...(asNumbers(kwargs) as object),
        tools: asNumbers(tools ?? null),
        messages: messages.map((message) => asNumbers(asTemplatesSeeIt(message))),
        add_generation_prompt: addGenerationPrompt,
      };
      for (const [name, value] of Object.entries(given)) environment.set(name, value);
      return String(new BoundedInterpreter(environment).run(this.program).value);
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

const UNSUPPORTED = 'It may use what is not supported of Jinja: give the model a simpler chat_template.jinja';

/** What a template itself says against messages. */
class Refusal extends Error {}

/** What templates find beside their variables. */
const GLOBALS = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception: (message: unknown) => {
    throw new Refusal(String(message));
  },
  range: (...bounds: unknown[]) => boundedRange(bounds.map(Number)),
  strftime_now: (format: unknown) => today(String(format)),
};

/** Jinja's, which ends: neither loops nor texts nor lists grow without bound. */
class BoundedInterpreter extends Interpreter {
  private steps = 0;
  /** What loops run over. */
  private readonly iterables = new Set<unknown>();

  override evaluate(node: Node, environment: Environment): Value {
    this.count(1);
    const { type, iterable } = (node ?? {}) as Syntax;
    if (type === 'For') this.iterables.add(iterable?.lhs ?? iterable);
    const value = this.asPython(node, environment) ?? super.evaluate(node, environment);
    const held: unknown = value.value;
    // A turn of a loop costs something even where nothing stands in it.
    if (Array.isArray(held) && this.iterables.has(node)) this.count(held.length);
    if (typeof held === 'string' && held.length > MOST_CHARACTERS) {
      throw new Error(`it makes a text of more than ${MOST_CHARACTERS} characters`);
    }
    if (Array.isArray(held) && held.length > MOST_ELEMENTS) {
      throw new Error(`it makes a list of more than ${MOST_ELEMENTS} elements`);
    }
    return value;
  }

  private count(steps: number): void {
    this.steps += steps;
    if (this.steps > MOST_STEPS) throw new Error(`it takes more than ${MOST_STEPS} steps`);
  }

  /** The value of what the interpreter would make something else of than Python. */
  private asPython(node: Node, environment: Environment): Value | undefined {
    const { type, operator, left, right } = (node ?? {}) as Syntax;
    const isEqual = type === 'BinaryExpression' && operator && own(EQUALITY, operator.value);
    if (!isEqual) return this.stripped(node, environment);
    const [a, b] = [left, right].map((side) => this.evaluate(side, environment));
    return runtimeValue(isEqual(same(a as Value, b as Value)));
  }

  /** The value of `text.strip(…)` and `text | trim`, which know no arguments and other white space in the interpreter. */
  private stripped(node: Node, environment: Environment): Value | undefined {
    const call = stripCall(node);
    if (!call) return undefined;
    const [operand, characters] = [call.operand, call.argument].map(
      (each) => each && (this.evaluate(each, environment).value as unknown),
    );
    if (typeof operand !== 'string' || (characters !== undefined && typeof characters !== 'string'))
      return undefined;
    return runtimeValue(pythonStrip(operand, call.sides, characters));
  }
}

const EQUALITY: Readonly<Record<string, ((same: boolean) => boolean) | undefined>> = {
  '==': (same) => same,
  '!=': (same) => !same,
};

/** Whether two values are equal to Python: by what they hold, no text equal to a number, and truth equal to 1. */
function same(a: Value, b: Value): boolean {
  const [x, y] = [a, b].map(comparable);
  if (Array.isArray(x) && Array.isArray(y)) {
    return x.length === y.length && x.every((each, i) => same(each as Value, y[i] as Value));
  }
  if (!(x instanceof Map && y instanceof Map)) return x === y;
  return (
    x.size === y.size && [...x].every(([key, each]) => y.has(key) && same(each as Value, y.get(key) as Value))
  );
}

/** What a value holds; null and what is undefined hold the same in the interpreter. */
function comparable({ type, value }: Value): unknown {
  if (type === 'NullValue') return null;
  return typeof value === 'boolean' ? Number(value) : value;
}

/** A value of the interpreter's own. */
function runtimeValue(value: unknown): Value {
  return new Environment().set('', value);
}

interface StripCall {
  operand: NonNullable<Node>;
  argument: Node;
  sides: StripSides;
}

/** A node of the tree as far as it matters here. */
interface Syntax {
  type: string;
  value?: unknown;
  operator?: { value: string };
  left?: Node;
  right?: Node;
  callee?: Syntax;
  args?: NonNullable<Node>[];
  object?: NonNullable<Node>;
  property?: Syntax;
  computed?: boolean;
  operand?: NonNullable<Node>;
  filter?: Syntax;
  iterable?: Syntax;
  lhs?: Syntax;
}

/** `x.strip(chars)` and `x | trim(chars)`, taken apart. */
function stripCall(node: Node): StripCall | undefined {
  const { type, callee, args, operand, filter } = (node ?? {}) as Syntax;
  if (type === 'CallExpression' && callee?.type === 'MemberExpression' && !callee.computed) {
    return found(callee.object, String(callee.property?.value), args);
  }
  if (type !== 'FilterExpression') return undefined;
  const name = filter?.type === 'CallExpression' ? filter.callee?.value : filter?.value;
  return name === 'trim' ? found(operand, name, filter?.args) : undefined;
}

function found(operand: Node, name: string, args: readonly Node[] = []): StripCall | undefined {
  const sides = own(STRIP, name);
  return operand && sides && args.length <= 1 ? { operand, argument: args[0], sides } : undefined;
}

/** A message as transformers hands it to templates: without what is null, its reasoning under the name that they read. */
function asTemplatesSeeIt(message: Message): Record<string, unknown> {
  const given = Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null));
  const reasoning = REASONING.map((name) => own(given, name)).find((text) => text !== undefined);
  return reasoning === undefined ? given : { thinking: reasoning, ...given, reasoning_content: reasoning };
}

/** Numbers that JavaScript would not show to be Python's (`io/exact-json.ts`) as the interpreter knows numbers. */
function asNumbers(value: unknown): unknown {
  if (typeof value === 'bigint' || value instanceof Number) return Number(value);
  if (Array.isArray(value)) return value.map(asNumbers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, asNumbers(each)]));
}

function boundedRange(bounds: readonly number[]): number[] {
  const [start = 0, stop = 0, step = 1] = bounds.length < 2 ? [0, ...bounds] : bounds;
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= MOST_RANGE)) throw new Error(`range() of ${length} numbers is above ${MOST_RANGE}`);
  return Array.from({ length }, (_, i) => start + i * step);
}

/** Today in Python's words for dates, in English wherever it is. */
function today(format: string): string {
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
