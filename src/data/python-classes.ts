/** Character classes of Python's `str.isalpha` and similar methods, which test all characters of a text. */

/** Ideographs that Python counts as numeric. */
const NUMERALS =
  '㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖瑶肆萬貮貳贰阡陆陌陸零';
/** Characters with a digit value that are not decimals. */
const DIGITS =
  '\\xb2\\xb3\\xb9\\u1369-\\u1371\\u19da\\u2070\\u2074-\\u2079\\u2080-\\u2089\\u2460-\\u2468\\u2474-\\u247c\\u2488-\\u2490\\u24ea\\u24f5-\\u24fd\\u24ff\\u2776-\\u277e\\u2780-\\u2788\\u278a-\\u2792';
const SPACE = '\\s\\x1c-\\x1f\\x85';
const every = (kind: string) => new RegExp(`^(?:${kind})+$`, 'u');
/** At least one letter of this case, and none of the others. */
const cased = (kind: string, others: string) => new RegExp(`^(?=.*${kind})[^${others}\\p{Lt}]*$`, 'su');
const CASED = '\\p{Lowercase}\\p{Uppercase}\\p{Lt}';

/** A pattern for the whole text, by method. */
export const CLASSES: Readonly<Record<string, RegExp>> = {
  isalpha: every('\\p{L}'),
  isdecimal: every('\\p{Nd}'),
  isdigit: every(`[\\p{Nd}${DIGITS}]`),
  isnumeric: every(`[\\p{N}${NUMERALS}]`),
  isalnum: every('[\\p{L}\\p{N}]'),
  isspace: every(`(?!\\ufeff)[${SPACE}]`),
  isidentifier: /^[\p{XID_Start}_]\p{XID_Continue}*$/u,
  isprintable: /^(?: |[^\p{C}\p{Z}])*$/u,
  isascii: /^\p{ASCII}*$/u,
  islower: cased('\\p{Lowercase}', '\\p{Uppercase}'),
  isupper: cased('\\p{Uppercase}', '\\p{Lowercase}'),
  istitle: new RegExp(`^[^${CASED}]*(?:[\\p{Uppercase}\\p{Lt}]\\p{Lowercase}*(?:[^${CASED}]+|$))+$`, 'u'),
};
