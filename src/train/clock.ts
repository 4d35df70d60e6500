/**
 * Tokens per second and time left, from the completed steps. For display only.
 */
export class Clock {
  private readonly started = performance.now();
  private tokens = 0;
  private steps = 0;
  private readonly totalSteps: number;

  constructor(totalSteps: number) {
    this.totalSteps = totalSteps;
  }

  tick(tokens: number): void {
    this.tokens += tokens;
    this.steps++;
  }

  report(): { tokensPerSecond: number; secondsLeft: number } {
    const seconds = Math.max((performance.now() - this.started) / 1000, 1e-3);
    return {
      tokensPerSecond: this.tokens / seconds,
      secondsLeft: (seconds / Math.max(1, this.steps)) * (this.totalSteps - this.steps),
    };
  }
}
