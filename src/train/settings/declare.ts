/**
 * How a setting of one's own is declared, for trainers outside of the library: each function gives a setting of a kind, which
 * `resolveConfig` then fills in and checks. `trl` is TRL's name for it, or null.
 */
export { boolean, choice, names, number, numbers, whole } from '../../base/setting.ts';
