/** The return value of a generator; the values that it yields are ignored. */
export async function resultOf<Result>(generator: AsyncGenerator<unknown, Result>): Promise<Result> {
  for (;;) {
    const { done, value } = await generator.next();
    if (done) return value;
  }
}
