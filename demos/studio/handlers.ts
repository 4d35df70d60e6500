/** Messages that know their kind, each handed to the row of a table. */

/** What is done with a message of each kind. */
export type Handlers<Message extends { type: string }, Result = void> = {
  readonly [Type in Message['type']]: (message: Extract<Message, { type: Type }>) => Result;
};

/** Hands the message to its row; undefined where the table has none. */
export function handle<Message extends { type: string }, Result>(
  handlers: Partial<Handlers<Message, Result>>,
  message: Message,
): Result | undefined {
  const type: Message['type'] = message.type;
  const row = handlers[type] as ((message: Message) => Result) | undefined;
  return row?.(message);
}
