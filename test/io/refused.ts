/** Expectations about bad input: it is refused with an `InputError` whose message has the parts that a person needs. */
import { expect } from 'chai';
import { InputError } from '../../src/io/errors.ts';

/** Runs `action`, which must throw an {@link InputError} whose message contains each of `parts`. */
export async function expectRefused(action: () => unknown, ...parts: string[]): Promise<void> {
  const error = await failureOf(action);
  expect(error, String(error)).to.be.instanceOf(InputError);
  for (const part of parts) expect((error as InputError).message).to.include(part);
}

/** What `action` throws or rejects with; `undefined` if it succeeds. */
export async function failureOf(action: () => unknown): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error ?? new Error('something empty was thrown');
  }
  return undefined;
}
