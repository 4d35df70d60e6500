/** The columns of a row that are passed to the chat template besides its messages, under TRL's names (1.16). */
import { InputError } from '../io/errors.ts';
import { parseExactJson } from '../io/exact-json.ts';
import { isObject, kindOf } from '../io/json.ts';
import type { RowValue } from './data-form.ts';

export interface ChatColumns {
  /** Descriptions of the functions that the model may call. */
  tools?: readonly object[];
  /** Extra variables of the template, such as `enable_thinking`. */
  chatTemplateKwargs?: Readonly<Record<string, unknown>>;
}

/** The columns; each may contain its value or the value as JSON. */
export const CHAT_COLUMNS = ['tools', 'chat_template_kwargs'] as const;

/** The columns that the row has. Throws {@link InputError} if one has the wrong type. */
export function chatColumns(row: RowValue, where: string): ChatColumns {
  const [tools, kwargs] = CHAT_COLUMNS.map((column) => plain(row[column], `${where}, "${column}"`));
  if (tools !== undefined && !(Array.isArray(tools) && tools.every(isObject))) {
    throw new InputError(
      where,
      `"tools" is ${kindOf(tools)}, not a list of objects`,
      'Describe each function as JSON',
    );
  }
  if (kwargs !== undefined && !isObject(kwargs)) {
    const what = `"chat_template_kwargs" must be an object, got ${kindOf(kwargs)}`;
    throw new InputError(where, what, 'Give names and values, such as {"enable_thinking": false}');
  }
  return {
    ...(tools !== undefined && { tools }),
    ...(kwargs !== undefined && { chatTemplateKwargs: kwargs }),
  };
}

function plain(value: unknown, where: string): unknown {
  if (value === null || value === '') return undefined;
  return typeof value === 'string' ? parseExactJson(value, where) : value;
}
