/**
 * Declares settings outside the library, for user-defined trainers: each function makes a setting of one kind, which
 * `resolveConfig` then fills in and checks. `trl` is TRL's name for it, or null.
 */
export { boolean, choice, names, number, numbers, whole } from '../../base/setting.ts';
