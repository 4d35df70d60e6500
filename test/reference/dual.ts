/**
 * Numbers with their derivatives: value and slope for every variable that they depend on (forward-mode differentiation,
 * sparse). So the derivative that a formula is compared with is computed, not written by hand.
 */
import { logSigmoid, sigmoid } from './arrays.ts';

export class Dual {
  constructor(
    readonly value: number,
    /** d value / d variable, by the variable's number. */
    readonly slopes: ReadonlyMap<number, number> = new Map(),
  ) {}

  static variable(value: number, index: number): Dual {
    return new Dual(value, new Map([[index, 1]]));
  }

  /** f(this), given the values of f and f′ there. */
  through(value: number, slope: number): Dual {
    return new Dual(value, new Map([...this.slopes].map(([index, s]) => [index, slope * s])));
  }

  plus(other: Dual | number): Dual {
    if (typeof other === 'number') return this.through(this.value + other, 1);
    const slopes = new Map(this.slopes);
    for (const [index, slope] of other.slopes) slopes.set(index, (slopes.get(index) ?? 0) + slope);
    return new Dual(this.value + other.value, slopes);
  }

  minus(other: Dual | number): Dual {
    return this.plus(typeof other === 'number' ? -other : other.times(-1));
  }

  times(other: Dual | number): Dual {
    if (typeof other === 'number') return this.through(this.value * other, other);
    const product = this.through(0, other.value).plus(other.through(0, this.value));
    return new Dual(this.value * other.value, product.slopes);
  }

  squared(): Dual {
    return this.times(this);
  }

  exp(): Dual {
    return this.through(Math.exp(this.value), Math.exp(this.value));
  }

  sigmoid(): Dual {
    return this.through(sigmoid(this.value), sigmoid(this.value) * sigmoid(-this.value));
  }

  logSigmoid(): Dual {
    return this.through(logSigmoid(this.value), sigmoid(-this.value));
  }
}
