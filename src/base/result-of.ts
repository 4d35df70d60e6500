/** What a generator returns in the end; what it tells on the way is not heard. */
export async function resultOf<Result>(generator: AsyncGenerator<unknown, Result>): Promise<Result> {
  for (;;) {
    const { done, value } = await generator.next();
    if (done) return value;
  }
}
